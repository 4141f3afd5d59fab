"""From the grid in the file to the grid that is stored: which neighbours count, and the loops that add them up."""
