"""The same figures per subgroup: sex, age band, scanner, kernel, contrast. Axes: k repetition, s scan, l label."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from simcrop.evaluation.judgement import Judgement, judge
from simcrop.metrics.intervals import DRAWS

FEWEST_POSITIVES = 10
MOST_GROUPS = 8  # a column of numbers with more values than that is cut at its quartiles
NOT_STATED = "not stated"


@dataclass(frozen=True, eq=False)
class Subgroup:
    """The scans of one value of a column; `judged` only on labels with enough positives, None when there are none."""

    column: str
    value: str
    scans: int
    patients: int
    judged: Judgement | None


def subgroups(
    column: pl.Series,
    scores: np.ndarray,
    labels: np.ndarray,
    thresholds: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    names: Sequence[str],
    seed: int,
    draws: int = DRAWS,
    fewest: int = FEWEST_POSITIVES,
    decided: np.ndarray | None = None,
) -> list[Subgroup]:
    """`column` has one value per scan. Labels with fewer than `fewest` positives in a group are left out there.
    `decided`: see `judge`.
    """
    values, patients = groups_of(column), np.asarray(patients)
    found = []
    for value in sorted(set(values), key=lambda each: (each == NOT_STATED, each)):
        rows = np.array([each == value for each in values])
        enough = (labels[rows] == 1).sum(0) >= fewest
        of = np.where(enough, labels[rows], np.nan)
        judged = judge(
            *(scores[:, rows], of, thresholds, patients[rows], names, seed, draws),
            decided=None if decided is None else decided[:, rows],
        )
        some = None if len(judged.absent) == len(names) else judged
        found.append(Subgroup(column.name, value, int(rows.sum()), len(set(patients[rows])), some))
    return found


def groups_of(column: pl.Series) -> list[str]:
    """A name of its group for every scan; numbers of many values become four bands of about as many scans."""
    if column.dtype.is_float():
        column = column.fill_nan(None)  # a table of pandas writes NaN where nothing is known
    if column.dtype.is_numeric() and column.n_unique() > MOST_GROUPS:
        known = column.drop_nulls().to_numpy()
        edges = np.unique(np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))
        bands = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        place = np.searchsorted(edges[1:-1], column.fill_null(0).to_numpy(), side="right")
        return [
            NOT_STATED if missing else bands[i] for i, missing in zip(place, column.is_null(), strict=True)
        ]
    texts = column.cast(pl.String).fill_null("").str.strip_chars()
    return [text or NOT_STATED for text in texts]
