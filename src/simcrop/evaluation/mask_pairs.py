"""Segmentations of the same scans against one another: by how much each class differs, and whether by chance.

Axes: k method, s scan, l class. A scan counts for a class where both of a pair could be scored there, so that nothing
but the two is compared; that a mask which misses an organ has no distance is said by its Dice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from simcrop.evaluation.comparison import LEVEL
from simcrop.evaluation.segmentation import (
    MEASURES,
    Measure,
    ScanScores,
    drawn_class_means,
    mean_interval,
    mean_of_the_same_classes,
    mean_over_classes,
    values_of,
)
from simcrop.metrics import Interval, holm, interval, interval_of, sign_flip_p
from simcrop.metrics.ranking import mean_of_defined

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class PairedMeasure:
    """One measure. `means` of each method, over classes; `values` of each by class; by pair the `differences` (first
    minus second) of the mean over classes and of each class, with intervals over the same drawn patients. `p_values`
    `(l,)` of each pair by exchange of signs, corrected by Holm over all classes and pairs; `scans` `(l,)`: how many
    counted.
    """

    measure: Measure
    means: tuple[Interval, ...]
    values: tuple[tuple[Interval, ...], ...]
    mean_differences: dict[Pair, Interval]
    differences: dict[Pair, tuple[Interval, ...]]
    p_values: dict[Pair, np.ndarray]
    scans: dict[Pair, np.ndarray]

    def apart(self, pair: Pair, n: int) -> bool:
        """Whether the two differ beyond chance on class `n`."""
        return bool(self.p_values[pair][n] < LEVEL)


def compare_masks(methods: Sequence[Sequence[ScanScores]], seed: int) -> list[PairedMeasure]:
    """Each method's scores, of the same scans in one order, of the same classes."""
    patients = [scan.patient for scan in methods[0]]
    return [
        compare_measure(measure, [values_of(scans, measure) for scans in methods], patients, seed)
        for measure in MEASURES
    ]


def compare_measure(
    measure: Measure, values: Sequence[np.ndarray], patients: Sequence[str], seed: int
) -> PairedMeasure:
    """Of `values` `(s, l)` of each method, NaN where there is nothing to score."""

    def drawn() -> np.random.Generator:
        return np.random.default_rng((seed, 4))

    pairs, classes = list(combinations(range(len(values)), 2)), range(values[0].shape[1])
    mean_differences, differences, p_values, scans = {}, {}, [], {}
    for i, j in pairs:
        both = ~np.isnan(values[i]) & ~np.isnan(values[j])
        first, second = (np.where(both, of, np.nan) for of in (values[i], values[j]))
        of_first, of_second = (
            mean_of_the_same_classes(drawn_class_means(of, patients, drawn()), of) for of in (first, second)
        )
        mean_differences[i, j] = interval_of(
            mean_over_classes(first) - mean_over_classes(second), of_first - of_second
        )
        apart = first - second
        differences[i, j] = tuple(
            interval(lambda rows, of=apart[:, n]: mean_of_defined(of[rows]), patients, drawn())
            for n in classes
        )
        p_values += [sign_flip_p(apart[:, n], patients, drawn()) for n in classes]
        scans[i, j] = both.sum(0)
    raised = holm(p_values).reshape(len(pairs), len(classes))
    return PairedMeasure(
        measure,
        tuple(mean_interval(of, patients, drawn()) for of in values),
        tuple(
            tuple(
                interval(lambda rows, of=of[:, n]: mean_of_defined(of[rows]), patients, drawn())
                for n in classes
            )
            for of in values
        ),
        mean_differences,
        differences,
        dict(zip(pairs, raised, strict=True)),
        scans,
    )
