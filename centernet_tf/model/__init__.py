"""A network with its heads, the card that describes it, and the file that holds both."""
