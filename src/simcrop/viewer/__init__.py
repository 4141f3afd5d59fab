"""`simcrop view`: scans, reports and heat maps on a local web page."""
