"""What training reads: crops of scans, reports as word pieces, sentences with their features, joined to batches."""
