"""Scores of many findings put together: each figure with its interval by patient, and categories one by one.

Axes: n finding, of all scans together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simcrop.data.findings import CATEGORIES
from simcrop.metrics import interval_of, resampled
from simcrop.metrics.findings import FindingScore, FindingTable
from simcrop.metrics.ranking import mean_of_defined

DRAWS = 1000


@dataclass(frozen=True)
class Scored:
    """One finding of one scan of one patient."""

    study: str
    patient: str
    category: str
    score: FindingScore


def figures_of(scored: Sequence[Scored], seed: int, draws: int = DRAWS) -> dict[str, float]:
    """`dice_per_case` with `dice_per_case_low` and `dice_per_case_high`, and so every figure."""
    table = FindingTable.of([one.score for one in scored], [one.study for one in scored])
    values = table.figures(np.arange(len(scored)))
    patients = [one.patient for one in scored]
    drawn = [table.figures(rows) for rows in resampled(patients, np.random.default_rng((seed, 3)), draws)]
    figures: dict[str, float] = {}
    for name, value in values.items():
        found = interval_of(value, np.array([one[name] for one in drawn]))
        figures |= {name: value, f"{name}_low": found.low, f"{name}_high": found.high}
    return figures


def by_category(scored: Sequence[Scored]) -> dict[str, dict[str, Any]]:
    """Name, number of findings, Dice and hit rate of each category that occurs."""
    rows = {}
    for code, name in CATEGORIES.items():
        own = [one.score for one in scored if one.category == code]
        if own:
            dice, hits = np.array([one.dice for one in own]), np.array([one.hit for one in own])
            rows[code] = {
                "name": name,
                "findings": len(own),
                "dice": mean_of_defined(dice),
                "hit_rate": mean_of_defined(hits),
            }
    return rows
