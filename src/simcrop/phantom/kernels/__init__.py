"""The inner loops that carve, mix and paint bodies, as machine code."""
