"""Methods on the same test scans: by how much they differ, and whether that could be chance.

Axes: k method, r repetition (seed), s scan, l label, b drawn cohort. Labels are 1, 0 or NaN (not known: left out).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from simcrop.metrics import Aurocs, delong, drawn_counts, drawn_ranking, holm, interval_of, once
from simcrop.metrics.intervals import DRAWS, Interval
from simcrop.metrics.ranking import completed, mean_of_defined, means_of_defined

LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Comparison:
    """`macro`: of each method, over `judged` labels, which all can judge. By pair of methods `differences` of the
    macro AUROC (first minus second) on the same drawn patients, and `p_values` `(l,)` of DeLong's test per label,
    corrected by Holm over all labels and pairs. `aurocs`: per label, NaN where not judged.
    """

    macro: tuple[Interval, ...]
    differences: dict[tuple[int, int], Interval]
    aurocs: tuple[Aurocs, ...]
    p_values: dict[tuple[int, int], np.ndarray]
    judged: np.ndarray

    def apart(self, first: int, second: int, label: int | None = None) -> bool:
        """Whether the two differ beyond chance, on one label or (None) on average."""
        pair = (min(first, second), max(first, second))
        if label is not None:
            return bool(self.p_values[pair][label] < LEVEL)
        return self.differences[pair].beyond_zero

    def marks(self, label: int | None = None) -> dict[int, str]:
        """Which method is `best`, and which `second`, only where it differs beyond chance from the next."""
        values = (
            self.aurocs[label].values
            if label is not None
            else np.array([found.value for found in self.macro])
        )
        if np.isnan(values).any():
            return {}
        order = [int(i) for i in np.argsort(-values, kind="stable")]
        ranks = zip(("best", "second"), order, order[1:], strict=False)  # the last of them has none below it
        return {method: rank for rank, method, below in ranks if self.apart(method, below, label)}


def compare_methods(
    scores: Sequence[np.ndarray],
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    seed: int,
    draws: int = DRAWS,
) -> Comparison:
    """Of `scores` `(r, s, l)`, one per method, on the same scans; the number of repetitions may differ."""
    whole = [mean_aurocs(of, labels, once(len(labels))) for of in scores]
    judged = np.asarray(~np.isnan(np.concatenate(whole)).any(0))
    parts = [
        [mean_aurocs(of, labels, counts) for of in scores]
        for counts in drawn_counts(patients, np.random.default_rng((seed, 1)), draws)
    ]
    figures = [of[0, judged] for of in whole]
    values = [mean_of_defined(of) for of in figures]
    drawn = [
        means_of_defined(completed(of[:, judged], value))
        for of, value in zip(np.concatenate(parts, axis=1), figures, strict=True)
    ]
    pairs = list(combinations(range(len(scores)), 2))
    aurocs = tuple(
        delong([of[:, :, i] for of in scores], labels[:, i], patients) for i in range(labels.shape[1])
    )
    raised = holm([found.p_value(*pair) for pair in pairs for found in aurocs]).reshape(
        len(pairs), labels.shape[1]
    )
    return Comparison(
        tuple(interval_of(value, of) for value, of in zip(values, drawn, strict=True)),
        {(i, j): interval_of(values[i] - values[j], drawn[i] - drawn[j]) for i, j in pairs},
        aurocs,
        dict(zip(pairs, raised, strict=True)),
        judged,
    )


def mean_aurocs(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`(b, l)`: the mean over repetitions `(r, s, l)`."""
    return np.mean([drawn_ranking(one, labels, counts)["auroc"] for one in scores], axis=0)
