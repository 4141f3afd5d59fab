"""Phantoms as the data sets lay them out: files, tables, headers."""
