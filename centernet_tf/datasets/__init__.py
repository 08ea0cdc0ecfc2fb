"""Annotated images of many formats to record files."""
