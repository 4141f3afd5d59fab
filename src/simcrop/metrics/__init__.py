"""Numbers that say how good something is, each with what it leaves out: pure functions of numpy arrays."""

from simcrop.metrics.decisions import accuracy, f1
from simcrop.metrics.intervals import Interval, difference, interval, interval_of, resampled
from simcrop.metrics.ranking import Macro, auroc, average_precision, label_aurocs, macro_auroc
from simcrop.metrics.spread import effective_rank

__all__ = [
    "Interval",
    "Macro",
    "accuracy",
    "auroc",
    "average_precision",
    "difference",
    "effective_rank",
    "f1",
    "interval",
    "interval_of",
    "label_aurocs",
    "macro_auroc",
    "resampled",
]
