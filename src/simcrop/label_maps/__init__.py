"""Which labels of one data set answer for those of another, one small YAML each."""
