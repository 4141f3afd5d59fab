"""Numbers that say how good something is, each with what it leaves out: pure functions of numpy arrays."""

from simcrop.metrics.bootstrap import drawn_counts, drawn_ranking, once
from simcrop.metrics.calibration import brier, calibration_line, expected_calibration_error
from simcrop.metrics.decisions import RULES, accuracy, best_threshold, confusion, drawn_decisions, f1
from simcrop.metrics.delong import Aurocs, delong, holm
from simcrop.metrics.effective_rank import effective_rank
from simcrop.metrics.intervals import Interval, difference, interval, interval_of, resampled
from simcrop.metrics.means import mean_intervals
from simcrop.metrics.paired import sign_flip_p
from simcrop.metrics.ranking import Macro, auroc, average_precision, label_aurocs, macro_auroc

__all__ = [
    "RULES",
    "Aurocs",
    "Interval",
    "Macro",
    "accuracy",
    "auroc",
    "average_precision",
    "best_threshold",
    "brier",
    "calibration_line",
    "confusion",
    "delong",
    "difference",
    "drawn_counts",
    "drawn_decisions",
    "drawn_ranking",
    "effective_rank",
    "expected_calibration_error",
    "f1",
    "holm",
    "interval",
    "interval_of",
    "label_aurocs",
    "macro_auroc",
    "mean_intervals",
    "once",
    "resampled",
    "sign_flip_p",
]
