"""What `segment.py` is made of."""
