"""Experiments made of verbs: the demo, and the paper's tables on cohorts whose truth is known."""
