"""Any scan a radiology department hands over, read into one `Volume`."""
