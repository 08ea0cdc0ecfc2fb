"""Official PyTorch checkpoints: what is in them, which network it belongs to, and the way over.

One table of names for each family of networks; everything else is the same for all.
"""
