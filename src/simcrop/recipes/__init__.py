"""The shipped recipes, one small YAML each."""
