"""`train.py`, and what it is put together from."""
