"""Does a sentence point at its lesion? Hits of its nearest patch, beside everything that could explain them away.

Axes: s sentence that names a lesion, n patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.errors import SimcropError
from simcrop.metrics import Interval, difference, interval
from simcrop.metrics.ranking import mean_of_defined

TOUCHES = 0.0  # a patch touches a lesion that fills more than this share of it


@dataclass(frozen=True, eq=False)
class Pointed:
    """`maps` `(s, n)`: similarity of each sentence with the patches of its own scan, -inf where a patch holds none of
    the scan; `swapped` `(s, n)`: the same scans asked for a finding that they do not have, NaN rows where they have
    all; `lesion` `(s, n)` in [0, 1]: how much of each patch the lesion fills; `kind`, `patient` per sentence.
    """

    maps: np.ndarray
    swapped: np.ndarray
    lesion: np.ndarray
    kind: Sequence[str]
    patient: Sequence[str]

    def __post_init__(self) -> None:
        shapes = {self.maps.shape, self.swapped.shape, self.lesion.shape}
        if len(shapes) > 1 or len({len(self.maps), len(self.kind), len(self.patient)}) > 1:
            raise SimcropError("bad-batch", f"maps and lesions must have one shape, got {sorted(shapes)}")
        if np.isnan(self.maps).any():
            raise SimcropError("not-finite", "the maps hold values that are no numbers; the model is broken")


@dataclass(frozen=True)
class KindHits:
    """The hit rates of one kind of finding; NaN where nothing could be asked."""

    kind: str
    sentences: int
    hit: float
    swapped: float
    prior: float
    chance: float


@dataclass(frozen=True)
class PointingGame:
    """Shares of sentences whose nearest patch touches the lesion, with intervals by patient.

    `hit`: the sentence itself. What it must beat: `swapped`, a sentence about a finding that the scan does not have;
    `prior`, the mean map of the same kind of sentence over other patients; `prior_any`, that of all sentences over
    other patients; `chance`, a patch taken blindly. `over_swapped`, `over_prior`: paired differences.
    """

    sentences: int
    patients: int
    unreachable: int
    hit: Interval
    swapped: Interval
    prior: Interval
    prior_any: Interval
    chance: Interval
    over_swapped: Interval
    over_prior: Interval
    kinds: tuple[KindHits, ...]

    def figures(self) -> dict[str, float | int]:
        """As plain numbers for `metrics.json`, each rate with its interval; what is not defined is not there."""
        rates = {
            "pointing_hit": self.hit,
            "pointing_hit_swapped": self.swapped,
            "pointing_prior": self.prior,
            "pointing_prior_any": self.prior_any,
            "pointing_chance": self.chance,
            "pointing_over_swapped": self.over_swapped,
            "pointing_over_prior": self.over_prior,
        }
        numbers: dict[str, float | int] = {
            "pointing_sentences": self.sentences,
            "pointing_patients": self.patients,
        }
        for name, rate in rates.items():
            numbers |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
        return {name: value for name, value in numbers.items() if value == value}


def point(maps: np.ndarray, lesion: np.ndarray, touches: float = TOUCHES) -> np.ndarray:
    """1.0 where the patch most similar to the sentence touches the lesion, 0.0 where not, NaN for a row of NaN."""
    asked = ~np.isnan(maps).any(1)
    hit = np.full(len(maps), np.nan)
    nearest = maps[asked].argmax(1)
    hit[asked] = lesion[asked, nearest] > touches
    return hit


def prior_maps(
    maps: np.ndarray, kind: Sequence[str] | np.ndarray, patient: Sequence[str] | np.ndarray
) -> np.ndarray:
    """For each sentence the mean map of the same kind over other patients: where such things are sought anyway.

    Each patch is averaged over the scans that reach it. NaN rows where no other patient has the kind.
    """
    kinds, patients = np.asarray(kind), np.asarray(patient)
    inside = np.isfinite(maps)
    values = np.where(inside, maps, 0.0)
    prior = np.full(maps.shape, np.nan)
    for i in range(len(maps)):
        others = (kinds == kinds[i]) & (patients != patients[i])
        if others.any():
            count = inside[others].sum(0)
            mean = values[others].sum(0) / np.maximum(count, 1)
            prior[i] = np.where(inside[i] & (count > 0), mean, -np.inf)
    return prior


def chance(maps: np.ndarray, lesion: np.ndarray, touches: float = TOUCHES) -> np.ndarray:
    """Share of the patches in the scan that touch the lesion."""
    inside = maps > -np.inf
    return ((lesion > touches) & inside).sum(1) / inside.sum(1)


def score_pointing_game(pointed: Pointed, seed: int, touches: float = TOUCHES) -> PointingGame:
    """All rates. Sentences whose lesion lies outside the crop cannot be hit by anyone: left out and counted."""
    reachable = (pointed.lesion > touches).any(1)
    kind, patient = np.asarray(pointed.kind)[reachable], np.asarray(pointed.patient)[reachable]
    maps, lesion = pointed.maps[reachable], pointed.lesion[reachable]
    if not len(maps):
        raise SimcropError(
            "nothing-to-point-at", "no sentence of these studies names a lesion inside the crop"
        )
    hits = {
        "hit": point(maps, lesion, touches),
        "swapped": point(pointed.swapped[reachable], lesion, touches),
        "prior": point(prior_maps(maps, kind, patient), lesion, touches),
        "prior_any": point(prior_maps(maps, np.zeros(len(maps)), patient), lesion, touches),
        "chance": chance(maps, lesion, touches),
    }

    def mean(name: str, rows: np.ndarray) -> float:
        return mean_of_defined(hits[name][rows])

    rates = {
        name: interval(lambda rows, name=name: mean(name, rows), patient, np.random.default_rng((seed, 3)))
        for name in hits
    }
    over = {
        f"over_{name}": difference(
            lambda rows, name=name: mean("hit", rows[~np.isnan(hits[name][rows])]),
            lambda rows, name=name: mean(name, rows),
            patient,
            np.random.default_rng((seed, 3)),
        )
        for name in ("swapped", "prior")
    }
    return PointingGame(
        len(maps),
        len(np.unique(patient)),
        int((~reachable).sum()),
        **rates,
        **over,
        kinds=tuple(
            KindHits(
                str(name),
                int((kind == name).sum()),
                *(mean(rate, np.flatnonzero(kind == name)) for rate in ("hit", "swapped", "prior", "chance")),
            )
            for name in np.unique(kind)
        ),
    )
