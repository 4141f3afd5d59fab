"""How well masks cover the findings that sentences speak of, as ReXGroundingCT counts it.

Axes: x y z voxels of the scan's own grid; n finding, of all scans together. Dice, precision, recall and F1 in [0, 1].

Where nothing is marked there is nothing to find: NaN, never 0 or 1. Where labels are partial an instance more may be
right, so precision and F1 are of findings alone whose labels are complete; recall is of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.metrics.instances import (
    SMALLEST,
    Spacing,
    instances_in,
    pairs_by_distance,
    pairs_by_overlap,
    pieces_of,
)
from simcrop.metrics.ranking import mean_of_defined

# Dice of a hit; Dice of an instance that is found; largest spacings between.
HIT, SAME, VOXELS_APART = 0.1, 0.2, 2.0


@dataclass(frozen=True)
class FindingScore:
    """One finding in one scan. Instances in truth and mask, and how many of them are each other's: `by_overlap` at a
    Dice of .2, `by_distance` at twice the largest spacing.
    """

    dice: float
    true: int
    predicted: int
    by_overlap: int
    by_distance: int
    complete: bool

    @property
    def hit(self) -> float:
        """1 or 0; NaN where there was nothing to find."""
        return float(self.dice >= HIT) if not np.isnan(self.dice) else float("nan")


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Of two masks of one shape; NaN where the truth is empty, 0 where the mask misses it altogether."""
    in_truth = int(np.count_nonzero(truth))
    if not in_truth:
        return float("nan")
    both = int(np.count_nonzero(np.logical_and(predicted, truth)))
    return 2 * both / (int(np.count_nonzero(predicted)) + in_truth)


def score_finding(
    predicted: np.ndarray,
    truth: np.ndarray,
    spacing_mm: Spacing,
    focal: bool,
    complete: bool,
    smallest: int = SMALLEST,
) -> FindingScore:
    """A mask `(x, y, z)` against the numbers of true instances `(x, y, z)`, 0 where there is none."""
    found, true = pieces_of(predicted, spacing_mm, smallest), instances_in(truth, spacing_mm)
    return FindingScore(
        dice(predicted, truth),
        len(true),
        len(found),
        pairs_by_overlap(found, true, SAME),
        pairs_by_distance(found, true, focal, VOXELS_APART * max(spacing_mm)),
        complete,
    )


@dataclass(frozen=True, eq=False)
class FindingTable:
    """Scores of many findings, each array `(n,)`; `case`: the number of the scan that each belongs to."""

    dice: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    by_overlap: np.ndarray
    by_distance: np.ndarray
    complete: np.ndarray
    case: np.ndarray

    @classmethod
    def of(cls, scores: Sequence[FindingScore], cases: Sequence[str]) -> "FindingTable":
        """`cases`: the scan of each score."""

        def column(name: str) -> np.ndarray:
            return np.array([getattr(score, name) for score in scores])

        return cls(
            column("dice"),
            column("true"),
            column("predicted"),
            column("by_overlap"),
            column("by_distance"),
            column("complete").astype(bool),
            np.unique(np.asarray(cases), return_inverse=True)[1],
        )

    def figures(self, rows: np.ndarray) -> dict[str, float]:
        """Every figure of these rows, of which some may be there several times."""
        return {
            "dice_per_case": self.per_case(self.dice, rows),
            "dice_per_finding": mean_of_defined(self.dice[rows]),
            "hit_rate": mean_of_defined(self.hit[rows]),
            **{
                f"{kind}_{name}": value
                for kind, matched in (("instance", self.by_overlap), ("distance", self.by_distance))
                for name, value in self.found(matched, rows).items()
            },
        }

    @property
    def hit(self) -> np.ndarray:
        return np.where(np.isnan(self.dice), np.nan, self.dice >= HIT)

    def per_case(self, values: np.ndarray, rows: np.ndarray) -> float:
        """The mean over scans of the mean over each scan's findings; a scan drawn twice counts twice."""
        known = ~np.isnan(values)
        findings = np.bincount(self.case[known], minlength=int(self.case.max(initial=0)) + 1)
        rows = rows[known[rows]]
        shares = 1 / findings[self.case[rows]]
        return float((values[rows] * shares).sum() / shares.sum()) if len(rows) else float("nan")

    def found(self, matched: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """Precision, recall and F1 over the instances of these rows together."""
        whole = rows[self.complete[rows]]
        right, said, true = (int(column[whole].sum()) for column in (matched, self.predicted, self.true))
        return {
            "precision": share(right, said),
            "recall": share(int(matched[rows].sum()), int(self.true[rows].sum())),
            "f1": share(2 * right, said + true),
        }


def share(part: int, of: int) -> float:
    return part / of if of else float("nan")
