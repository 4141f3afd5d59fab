"""The same figures per subgroup: sex, age band, scanner, kernel, contrast. Axes: k repetition, s scan, l label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from simcrop.evaluation.judgement import Judgement, judge
from simcrop.metrics.intervals import DRAWS

FEWEST_POSITIVES = 10
MOST_GROUPS = 8  # a column of numbers with more values than that is cut at its quartiles
NOT_STATED = "not stated"
EXACT = 17  # digits by which any two numbers differ


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
    patients, found = np.asarray(patients), []
    for value, rows in groups_of(column).items():
        enough = (labels[rows] == 1).sum(0) >= fewest
        of = np.where(enough, labels[rows], np.nan)
        judged = judge(
            *(scores[:, rows], of, thresholds, patients[rows], names, seed, draws),
            decided=None if decided is None else decided[:, rows],
        )
        some = None if len(judged.absent) == len(names) else judged
        found.append(Subgroup(column.name, value, int(rows.sum()), len(set(patients[rows])), some))
    return found


def groups_of(column: pl.Series) -> dict[str, np.ndarray]:
    """The scans `(s,)` of each group that has some, by its name, in order; who states nothing comes last. Numbers of
    many values become bands; one without end, or that is none, states nothing.
    """
    if column.dtype.is_float():
        column = column.set(~column.is_finite(), None)  # a table of pandas writes NaN where nothing is known
    if column.dtype.is_numeric() and column.n_unique() > MOST_GROUPS:
        return bands_of(column.cast(pl.Float64).to_numpy())
    texts = column.cast(pl.String).fill_null("").str.strip_chars().replace("", NOT_STATED)
    ordered = texts.gather((column if column.dtype.is_numeric() else texts).arg_sort())
    names = sorted(dict.fromkeys(ordered), key=lambda name: name == NOT_STATED)
    return {name: (texts == name).to_numpy() for name in names}


def bands_of(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Four of about as many scans, cut at the quartiles of `(s,)`, NaN where nothing is stated. A number that several
    quartiles fall on is so frequent that it is a band of its own, beside fewer others.
    """
    edges, times = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]), return_counts=True)
    alone, names, last, bands = times > 1, told_apart(edges), len(edges) - 1, {}
    for i, edge in enumerate(edges):
        if alone[i]:
            bands[names[i]] = numbers == edge
        if i < last:
            from_here = numbers > edge if alone[i] else numbers >= edge
            whole = i + 1 == last and not alone[last]  # the largest number belongs to the last band
            up_to = numbers <= edges[last] if whole else numbers < edges[i + 1]
            bands[f"{'above ' if alone[i] else ''}{names[i]} to {names[i + 1]}"] = from_here & up_to
    bands[NOT_STATED] = np.isnan(numbers)
    return {name: scans for name, scans in bands.items() if scans.any()}


def told_apart(numbers: np.ndarray) -> list[str]:
    """Different numbers with at least six digits, all before the point, and as many as tell them from one another."""
    whole = len(f"{np.abs(numbers).max():.0f}")
    shortest = (
        [f"{number:.{digits}g}" for number in numbers]
        for digits in range(min(max(6, whole), EXACT), EXACT + 1)
    )
    return next(names for names in shortest if len(set(names)) == len(names))
