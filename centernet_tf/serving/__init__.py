"""Talking to servers that run exported models."""
