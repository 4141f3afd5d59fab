"""What a cohort holds and what is odd in it: counts, geometry, tissue."""
