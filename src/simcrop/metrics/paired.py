"""Whether paired differences could be chance: their signs are exchanged, patient by patient. Axes: s scan, p patient.

Were two methods alike, each patient's differences could as well have come out the other way round; the scans of one
patient turn together, since they resemble each other (Fisher's test by exchange of signs).
"""

from collections.abc import Sequence

import numpy as np

EXACT_UP_TO = 14  # patients: 16,384 ways to exchange signs
DRAWS = 10_000
AT_ONCE = 1_000_000  # signs that are held at once: 16 MB with what they are drawn from
ROUNDING = 1e-9  # of the sum of sizes: what order of addition may change


def sign_flip_p(
    differences: np.ndarray, patients: Sequence[str] | np.ndarray, generator: np.random.Generator
) -> float:
    """Two-sided p-value of the mean of `differences` `(s,)`, those that are NaN left out; NaN when none is left.

    Every way to exchange signs is counted where there are few; else so many are drawn, and the one seen counts, too.
    """
    there = ~np.isnan(differences)
    if not there.any():
        return float("nan")
    _, number = np.unique(np.asarray(patients)[there], return_inverse=True)
    sums = np.bincount(number, differences[there])
    least = abs(sums.sum()) - ROUNDING * np.abs(sums).sum()
    if len(sums) <= EXACT_UP_TO:
        ways = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float((np.abs((1 - 2 * ways) @ sums) >= least).mean())
    step = max(1, AT_ONCE // len(sums))  # draws; the same signs as if all were drawn at once
    farther = 0
    for first in range(0, DRAWS, step):
        signs = generator.choice([-1.0, 1.0], (min(step, DRAWS - first), len(sums)))
        farther += int((np.abs(signs @ sums) >= least).sum())
    return (1 + farther) / (1 + DRAWS)
