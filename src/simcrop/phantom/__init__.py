"""Synthetic chest CTs with reports, in which every finding and every sentence is known.

Lengths in mm of RAS+ (x right, y front, z up), densities in HU.
"""

from simcrop.phantom.cohort import Request, write_cohort, write_ct_rate
from simcrop.phantom.truth import Truth, TruthSentence, read_truth

__all__ = ["Request", "Truth", "TruthSentence", "read_truth", "write_cohort", "write_ct_rate"]
