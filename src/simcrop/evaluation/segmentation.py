"""How well masks cover organs over a whole test set: each class by itself, their mean, and what was not there to find.

Axes: s scan, l class, b drawn cohort. Lengths in mm, volumes in ml. Background is no class and never averaged in. What
cannot be scored is NaN (see `metrics.segmentation`), left out of every mean, and counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from simcrop.errors import SimcropError
from simcrop.metrics import Interval, drawn_counts, interval, interval_of, once
from simcrop.metrics.intervals import DRAWS
from simcrop.metrics.ranking import completed, mean_of_defined, means_of_defined
from simcrop.metrics.segmentation import TOLERANCE_MM, ClassScore, Spacing, score_classes

Measure = Literal["dice", "hd95_mm", "nsd"]
MEASURES: tuple[Measure, ...] = ("dice", "hd95_mm", "nsd")


@dataclass(frozen=True)
class ScanScores:
    """The scores of one scan, by name of the class."""

    study: str
    patient: str
    scores: dict[str, ClassScore]

    def rows(self) -> list[dict[str, str | float]]:
        """One row per class, for a table; `tolerance_mm` is that of `nsd`."""
        return [
            {"study": self.study, "patient": self.patient, "class": name, **vars(score)}
            for name, score in self.scores.items()
        ]


@dataclass(frozen=True)
class ClassResult:
    """One class over all scans. Means are over those where it could be scored, with intervals by patient. Scans where
    it is `present`, those where it is not (`absent`), and of each kind those where the mask is wrong altogether:
    `missed` has none of it, `false_positives` some.
    """

    name: str
    means: dict[Measure, Interval]
    present: int
    absent: int
    missed: int
    false_positives: int


@dataclass(frozen=True)
class Segmented:
    """A test set. `means`: over classes, each the mean of its scans, so that a rare organ counts as much as a common
    one. `unseen`: classes that no scan has.
    """

    scans: int
    patients: int
    tolerance_mm: float
    classes: tuple[ClassResult, ...]
    means: dict[Measure, Interval]

    @property
    def unseen(self) -> tuple[str, ...]:
        return tuple(of.name for of in self.classes if not of.present)

    def figures(self) -> dict[str, float | int]:
        """As plain numbers for `metrics.json`; what is not defined is not there."""
        numbers: dict[str, float | int] = {
            "segmentation_scans": self.scans,
            "segmentation_patients": self.patients,
            "nsd_tolerance_mm": self.tolerance_mm,
        }
        numbers |= named("", self.means)
        for of in self.classes:
            numbers |= named(f":{of.name}", of.means)
            counts = ("present", "absent", "missed", "false_positives")
            numbers |= {f"{count}:{of.name}": getattr(of, count) for count in counts}
        return {name: value for name, value in numbers.items() if value == value}


def named(ending: str, means: Mapping[Measure, Interval]) -> dict[str, float]:
    return {
        f"{measure}{bound}{ending}": value
        for measure, mean in means.items()
        for bound, value in (("", mean.value), ("_low", mean.low), ("_high", mean.high))
    }


def score_scan(
    study: str,
    patient: str,
    predicted: np.ndarray,
    truth: np.ndarray,
    spacing_mm: Spacing,
    names: Mapping[int, str],
    tolerance_mm: float = TOLERANCE_MM,
) -> ScanScores:
    """A mask against the truth, both label volumes `(x, y, z)` on the scan's own grid; `names` by number of class."""
    if predicted.shape != truth.shape:
        raise SimcropError("other-grid", f"a mask of {predicted.shape} voxels, the truth has {truth.shape}")
    scores = score_classes(predicted, truth, spacing_mm, names, tolerance_mm)
    return ScanScores(study, patient, dict(zip(names.values(), scores, strict=True)))


def judge(scans: Sequence[ScanScores], seed: int) -> Segmented:
    """All scans together. Every scan has the same classes, scored at the same tolerance."""
    if not scans:
        raise SimcropError("no-studies", "no scan was segmented, so there is nothing to judge")
    names, patients = list(scans[0].scores), [of.patient for of in scans]
    tolerances = {score.tolerance_mm for of in scans for score in of.scores.values()}
    if any(list(of.scores) != names for of in scans) or len(tolerances) > 1:
        raise SimcropError("bad-batch", "scans can be judged together only on the same classes and tolerance")
    classes = tuple(class_result(name, [of.scores[name] for of in scans], patients, seed) for name in names)
    means: dict[Measure, Interval] = {
        measure: mean_interval(values_of(scans, measure), patients, np.random.default_rng((seed, 4)))
        for measure in MEASURES
    }
    return Segmented(len(scans), len(set(patients)), tolerances.pop(), classes, means)


def class_result(name: str, scores: Sequence[ClassScore], patients: Sequence[str], seed: int) -> ClassResult:
    means: dict[Measure, Interval] = {}
    for measure in MEASURES:
        values = np.array([getattr(score, measure) for score in scores])
        means[measure] = interval(
            lambda rows, of=values: mean_of_defined(of[rows]), patients, np.random.default_rng((seed, 4))
        )
    present = sum(score.present for score in scores)
    return ClassResult(
        name,
        means,
        present,
        len(scores) - present,
        sum(score.missed for score in scores),
        sum(score.false_positive for score in scores),
    )


def values_of(scans: Sequence[ScanScores], measure: Measure) -> np.ndarray:
    """`(s, l)`, NaN where nothing was scored. Two methods are compared by the `difference` of a mean of these."""
    return np.array([[getattr(score, measure) for score in of.scores.values()] for of in scans])


def mean_over_classes(values: np.ndarray) -> float:
    """Of `(s, l)`: the mean over classes of each one's mean over the scans that have it."""
    scored = ~np.isnan(values)
    seen = scored.any(0)
    return mean_of_defined(np.where(scored, values, 0).sum(0)[seen] / scored.sum(0)[seen])


def mean_interval(values: np.ndarray, patients: Sequence[str], generator: np.random.Generator) -> Interval:
    """`mean_over_classes` with its interval; its `draws`: in how many drawn cohorts no class had to be completed."""
    drawn = drawn_class_means(values, patients, generator)
    seen = ~np.isnan(values).all(0)
    whole = int((~np.isnan(drawn[:, seen])).all(1).sum()) if seen.any() else 0
    found = interval_of(mean_over_classes(values), mean_of_the_same_classes(drawn, values))
    return replace(found, draws=whole)


def drawn_class_means(
    values: np.ndarray, patients: Sequence[str], generator: np.random.Generator
) -> np.ndarray:
    """`(b, l)`: the mean of each class over the scans of a drawn cohort that have it, NaN where none has."""
    return np.concatenate([class_means(values, of) for of in drawn_counts(patients, generator, DRAWS)])


def mean_of_the_same_classes(drawn: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`(b,)`: the mean over classes, in every drawn cohort over those that all scans `(s, l)` have together."""
    return means_of_defined(completed(drawn, class_means(values, once(len(values)))[0]))


def class_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`(b, l)` of `(s, l)`, each scan so many times as `counts` `(b, s)` say; NaN where no scan has the class."""
    scored, times = ~np.isnan(values), counts.astype(np.float64)
    there, sums = times @ scored, times @ np.where(scored, values, 0)
    return np.divide(sums, there, out=np.full(sums.shape, np.nan), where=there > 0)
