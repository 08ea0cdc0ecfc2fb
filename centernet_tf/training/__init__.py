"""What `train.py` is put together from."""
