"""Toys of the readers' tests, which these files are made for."""
