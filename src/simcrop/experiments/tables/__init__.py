"""The tables and figures of the paper: their rows and columns, the runs they need, and what they say."""
