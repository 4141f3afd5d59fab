"""How far a figure could have come out otherwise with other patients: the bootstrap. Axes: s scan.

Patients are drawn with replacement, never scans: the scans of one patient resemble each other, and counting them as
independent would make every interval too narrow.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

DRAWS, LEVEL = 1000, 0.95

# The rows of a table, some of them several times -> a figure of those rows.
Figure = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Interval:
    """A figure and its percentile interval. `draws`: in how many of the drawn cohorts the figure was defined; low and
    high are NaN when there were none.
    """

    value: float
    low: float
    high: float
    draws: int

    @property
    def wide(self) -> bool:
        """Not so where all drawn patients agree, as one patient does with itself, nor where none gave a figure."""
        return self.low < self.high

    @property
    def beyond_zero(self) -> bool:
        """Of a difference: whether it is beyond chance."""
        return bool(self.low > 0 or self.high < 0)

    @property
    def limits(self) -> str:
        """`0.790 to 0.833`, or `none`."""
        return f"{self.low:.3f} to {self.high:.3f}" if self.wide else "none"

    @property
    def words(self) -> str:
        """`0.812, 95 % interval 0.790 to 0.833`; one without width is said to be none."""
        if isnan(self.value):
            return "not defined"
        if isnan(self.low):
            return f"{self.value:.3f}, no interval: of no drawn patients is it defined"
        if not self.wide:
            return f"{self.value:.3f}, no interval: too few patients, or all of them alike"
        return f"{self.value:.3f}, 95 % interval {self.limits}"


def resampled(
    patients: Sequence[str] | np.ndarray, generator: np.random.Generator, draws: int = DRAWS
) -> Iterator[np.ndarray]:
    """Row numbers of `draws` cohorts of as many patients as there are, each with all scans of the patients drawn."""
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    order = np.argsort(number, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    for _ in range(draws):
        yield np.concatenate([rows[i] for i in generator.integers(len(rows), size=len(rows))])


def interval(
    figure: Figure,
    patients: Sequence[str] | np.ndarray,
    generator: np.random.Generator,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Interval:
    """`figure` of all rows, and its interval over cohorts drawn by patient."""
    drawn = np.array([figure(rows) for rows in resampled(patients, generator, draws)])
    return interval_of(figure(np.arange(len(patients))), drawn, level)


def difference(
    first: Figure,
    second: Figure,
    patients: Sequence[str] | np.ndarray,
    generator: np.random.Generator,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Interval:
    """`first - second` of two methods on the same scans, both judged on the same drawn patients."""
    return interval(lambda rows: first(rows) - second(rows), patients, generator, draws, level)


def interval_of(value: float, drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """The interval of figures `(draws,)` that were computed already; undefined ones are left out."""
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return Interval(float(value), float("nan"), float("nan"), 0)
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high), len(defined))
