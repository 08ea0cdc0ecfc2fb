"""Results of very many images: numbered blocks, each of which has a file of its own, so that a stopped run goes on."""
