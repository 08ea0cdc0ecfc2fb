"""Tracking by appearance: an embedding of each object says who it was (FairMOT, Zhang et al., 2021)."""
