"""Metrics, one file per benchmark."""
