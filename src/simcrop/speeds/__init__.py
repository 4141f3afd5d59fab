"""How fast machines are and what steps cost, as YAML: measured with date and machine, or from a data sheet."""
