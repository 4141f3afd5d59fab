"""Settings of trained heads by data set and share of the training patients, one small YAML each."""
