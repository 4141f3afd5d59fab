"""Published protocols of zero-shot classification, one small YAML each."""
