"""What scores of test scans are worth: every measure per label and on average, with intervals by patient.

Axes: k repetition (seed), s scan, l label, b drawn cohort. Labels are 1, 0 or NaN (not known: left out and counted).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simcrop.metrics import (
    brier,
    calibration_line,
    drawn_counts,
    drawn_decisions,
    drawn_ranking,
    expected_calibration_error,
    interval_of,
    label_aurocs,
    once,
)
from simcrop.metrics.intervals import DRAWS, Interval
from simcrop.metrics.ranking import completed, mean_of_defined, means_of_defined

# Of ranks, of decisions at the threshold, of probabilities.
MEASURES = (
    *("auroc", "average_precision"),
    *("f1", "sensitivity", "specificity"),
    *("brier", "expected_calibration_error", "calibration_intercept", "calibration_slope"),
)


@dataclass(frozen=True, eq=False)
class JudgedLabel:
    """One label; `threshold`: mean over repetitions, None where there was none to decide by; `unknown`: scans left
    out.
    """

    name: str
    figures: dict[str, Interval]
    threshold: float | None
    positives: int
    negatives: int
    unknown: int


@dataclass(frozen=True, eq=False)
class Judgement:
    """`macro`: the mean of each measure over the labels that could be judged, its `draws` how many drawn cohorts could
    judge all of these; `absent`: the names of those that could not: the test scans lack one kind, or no probe could be
    learned. `draws`: how many cohorts the intervals rest on.
    """

    macro: dict[str, Interval]
    labels: tuple[JudgedLabel, ...]
    absent: tuple[str, ...]
    draws: int

    @property
    def auroc(self) -> Interval:
        """Macro AUROC, the headline."""
        return self.macro["auroc"]

    def over(self, measure: str) -> int:
        """Of how many labels its macro figure is the mean."""
        return sum(not np.isnan(label.figures[measure].value) for label in self.labels)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of labels that are judged, but not by decisions: there was no threshold for them."""
        return tuple(
            label.name
            for label in self.labels
            if label.name not in self.absent and np.isnan(label.figures["f1"].value)
        )


def judge(
    scores: np.ndarray,
    labels: np.ndarray,
    thresholds: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    names: Sequence[str],
    seed: int,
    draws: int = DRAWS,
    probabilities: bool = True,
    decided: np.ndarray | None = None,
) -> Judgement:
    """Of probabilities `(k, s, l)`, one table per repetition, whose figures are averaged on each drawn cohort;
    `thresholds` `(k, l)` were chosen on other patients, or `decided` `(k, s, l)` says which labels are named.
    """
    if decided is None:
        decided = np.where(np.isnan(thresholds)[:, None], np.nan, scores >= thresholds[:, None])
    decided = decided.astype(float)
    judged = np.asarray(~np.isnan([label_aurocs(of, labels) for of in scores]).any(0))
    scores = np.where(judged, scores, np.nan)
    as_it_is = measured(scores, labels, decided, once(len(labels)), probabilities)
    whole = {name: values[0] for name, values in as_it_is.items()}
    parts = [
        measured(scores, labels, decided, counts, probabilities)
        for counts in drawn_counts(patients, np.random.default_rng((seed, 1)), draws)
    ]
    drawn = {name: np.concatenate([part[name] for part in parts]) for name in MEASURES}
    return Judgement(
        {name: macro_of(whole[name], drawn[name]) for name in MEASURES},
        tuple(
            JudgedLabel(
                name,
                {measure: interval_of(whole[measure][i], drawn[measure][:, i]) for measure in MEASURES},
                None if np.isnan(mean := float(thresholds[:, i].mean())) else mean,
                positives=int((labels[:, i] == 1).sum()),
                negatives=int((labels[:, i] == 0).sum()),
                unknown=int(np.isnan(labels[:, i]).sum()),
            )
            for i, name in enumerate(names)
        ),
        tuple(name for name, there in zip(names, judged, strict=True) if not there),
        draws,
    )


def macro_of(whole: np.ndarray, drawn: np.ndarray) -> Interval:
    """The mean of figures `(l,)` over the labels that have one, which are the same in every drawn cohort `(b, l)`; its
    `draws`: in how many of these nothing had to be completed.
    """
    found = interval_of(mean_of_defined(whole), means_of_defined(completed(drawn, whole)))
    of = ~np.isnan(whole)
    return replace(found, draws=int((~np.isnan(drawn[:, of])).all(1).sum()) if of.any() else 0)


def measured(
    scores: np.ndarray, labels: np.ndarray, decided: np.ndarray, counts: np.ndarray, probabilities: bool
) -> dict[str, np.ndarray]:
    """Every measure in every drawn cohort, `(b, l)`, the mean over repetitions."""
    found = [measured_once(*one, labels, counts, probabilities) for one in zip(scores, decided, strict=True)]
    return {name: np.mean([of[name] for of in found], axis=0) for name in MEASURES}


def measured_once(
    scores: np.ndarray, decided: np.ndarray, labels: np.ndarray, counts: np.ndarray, probabilities: bool
) -> dict[str, np.ndarray]:
    """The same of one repetition: `scores` and `decided` `(s, l)`, 1, 0 or NaN where nothing was decided."""
    there = np.asarray(~np.isnan(scores).any(0))
    found = {name: np.full((len(counts), len(there)), np.nan) for name in MEASURES}
    open_ones = np.isnan(decided).any(0)
    scores, labels = scores[:, there], labels[:, there]
    decisions = drawn_decisions(decided[:, there] == 1, labels, counts)
    calibration = calibrated(scores, labels, counts) if probabilities else {}
    for name, values in {**drawn_ranking(scores, labels, counts), **decisions, **calibration}.items():
        found[name][:, there] = values
    for name in decisions:
        found[name][:, open_ones] = np.nan
    return found


def calibrated(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """What only probabilities have."""
    lines = np.empty((scores.shape[1], len(counts), 2))
    for line, p, truth in zip(lines, scores.T, labels.T, strict=True):
        line[:] = calibration_line(p, truth, counts)
    return {
        "brier": brier(scores, labels, counts),
        "expected_calibration_error": expected_calibration_error(scores, labels, counts),
        "calibration_intercept": lines[:, :, 0].T,
        "calibration_slope": lines[:, :, 1].T,
    }
