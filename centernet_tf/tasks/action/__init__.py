"""Actions: objects of a video that do something for some of its frames."""
