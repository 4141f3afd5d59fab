"""What every sentence's map is worth, beside what could explain it away: chance, where such findings are sought anyway,
a sentence about something else, and an encoder that has learned nothing.

Axes: s sentence, n patch. Lengths in mm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cbrt, pi

import numpy as np

from simcrop.evaluation.grounding.answers import ScanAnswers
from simcrop.evaluation.grounding.questions import GroundQuestion
from simcrop.metrics.grounding import (
    best_map_threshold,
    blind_hit,
    contrast_to_noise,
    overlap,
    top_hit,
    top_patches,
    top_precision_recall,
)

MEASURES = ("hit", "hit_k", "precision", "recall", "iou", "dice", "cnr", "distance_mm", "depth_mm")
WHO = ("own", "swapped", "prior", "random", "chance")
# Each with a threshold of its own; a swapped sentence takes that of its model.
MAPPED = ("own", "prior", "random")
PARTLY = ("recall",)  # of marks that are not complete: what is not marked may be right, what is marked is
SIZES = {"below 10 mm": 10.0, "10 to 30 mm": 30.0, "30 mm and more": np.inf}


@dataclass(frozen=True, eq=False)
class Judged:
    """One sentence: `values[measure, who]`, NaN where not defined; `size_mm`: across a ball of the lesion's volume."""

    question: GroundQuestion
    ml: float
    size_mm: float
    values: dict[tuple[str, str], float]

    @property
    def beyond(self) -> bool:
        """Whether it lies where the input does not reach."""
        return bool(self.ml > 0 and np.isnan(self.values["recall", "own"]))

    @property
    def size(self) -> str:
        """Which of `SIZES`; empty where only a level is known."""
        return next((name for name, end in SIZES.items() if self.size_mm < end), "") if self.ml else ""


@dataclass(frozen=True, eq=False)
class Priors:
    """Of every kind the mean map of its sentences in another split, NaN where no scan reached; and of how many."""

    maps: Mapping[str, np.ndarray]
    sentences: Mapping[str, int]

    def map_in(self, kind: str, own: np.ndarray) -> np.ndarray:
        """As a map of a scan whose own is `own`; NaN throughout for a kind that was not there."""
        mean = self.maps.get(kind)
        return (
            np.full(len(own), np.nan)
            if mean is None
            else np.where((own > -np.inf) & ~np.isnan(mean), mean, -np.inf)
        )


Answered = Sequence[tuple[Sequence[GroundQuestion], ScanAnswers]]


def priors_of(answered: Answered) -> Priors:
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, np.ndarray] = {}
    number: dict[str, int] = {}
    for questions, answers in answered:
        for question, own in zip(questions, answers.own.astype(float), strict=True):
            inside = own > -np.inf
            kind = question.kind
            sums[kind] = sums.get(kind, np.zeros(len(own))) + np.where(inside, own, 0.0)
            counts[kind] = counts.get(kind, np.zeros(len(own))) + inside
            number[kind] = number.get(kind, 0) + 1
    means = {
        kind: np.divide(of, counts[kind], out=np.full(len(of), np.nan), where=counts[kind] > 0)
        for kind, of in sums.items()
    }
    return Priors(means, number)


def thresholds_of(answered: Answered, priors: Priors) -> dict[str, float]:
    """For the maps of each of `MAPPED` the threshold with the highest mean Dice over these scans."""
    rows = [
        (question, answers, row)
        for questions, answers in answered
        for row, question in enumerate(questions)
        if answers.lesion[row].any() and question.complete
    ]
    if not rows:
        return dict.fromkeys(MAPPED, float("nan"))
    lesion = np.stack([answers.lesion[row] for _, answers, row in rows])
    scan = np.stack([answers.scan for _, answers, _ in rows])
    total = np.array([answers.total[row] for _, answers, row in rows])
    maps = [maps_of(question, answers, row, priors) for question, answers, row in rows]
    return {
        who: best_map_threshold(np.stack([of[who] for of in maps]), lesion, scan, total) for who in MAPPED
    }


def maps_of(
    question: GroundQuestion, answers: ScanAnswers, row: int, priors: Priors
) -> dict[str, np.ndarray]:
    own = answers.own[row].astype(float)
    return {
        "own": own,
        "swapped": answers.swapped[row].astype(float),
        "prior": priors.map_in(question.kind, own),
        "random": answers.random[row].astype(float),
    }


def judge(
    question: GroundQuestion,
    answers: ScanAnswers,
    row: int,
    priors: Priors,
    thresholds: Mapping[str, float],
    k: int,
) -> Judged:
    """One sentence by all measures; a lesion that lies beyond the input has none but its size, one that is marked in
    part those of `PARTLY`.
    """
    ml = float(answers.ml[row])
    size_mm = 10 * cbrt(6 * ml / pi)
    values = dict.fromkeys(((measure, who) for measure in MEASURES for who in WHO), float("nan"))
    place = Place(
        answers.lesion[row],
        answers.scan,
        int(answers.total[row]),
        answers.distance[row],
        np.abs(answers.height - answers.level[row]),
    )
    if place.there or (not ml and not np.isnan(answers.level[row])):
        maps = maps_of(question, answers, row, priors)
        for who, of in maps.items():
            if not np.isnan(of).any() and (of > -np.inf).any():
                threshold = thresholds.get("own" if who == "swapped" else who, float("nan"))
                values |= {(name, who): value for name, value in place.measures(of, threshold, k).items()}
        blind = place.blind(maps["own"], thresholds.get("own", float("nan")), k)
        values |= {(name, "chance"): value for name, value in blind.items()}
    if not question.complete:
        values = {key: value if key[0] in PARTLY else float("nan") for key, value in values.items()}
    return Judged(question, ml, size_mm, values)


@dataclass(frozen=True, eq=False)
class Place:
    """Where one lesion lies: `lesion`, `scan` `(n,)` voxels; `distance`, `depth` `(n,)` of each patch's middle."""

    lesion: np.ndarray
    scan: np.ndarray
    total: int
    distance: np.ndarray
    depth: np.ndarray

    @property
    def there(self) -> bool:
        return bool(self.lesion.any())

    def measures(self, similarity: np.ndarray, threshold: float, k: int) -> dict[str, float]:
        """Of one map."""
        nearest = int(top_patches(similarity, 1)[0])
        found = {"depth_mm": float(self.depth[nearest])}
        if not self.there:
            return found
        precision, recall = top_precision_recall(similarity, self.lesion, k)
        found |= {
            "hit": top_hit(similarity, self.lesion),
            "hit_k": top_hit(similarity, self.lesion, k),
            "precision": precision,
            "recall": recall,
            "cnr": contrast_to_noise(similarity, self.lesion, self.scan),
            "distance_mm": float(self.distance[nearest]),
        }
        if threshold == threshold:
            found |= vars(overlap(similarity >= threshold, self.lesion, self.scan, self.total))
        return found

    def blind(self, similarity: np.ndarray, threshold: float, k: int) -> dict[str, float]:
        """Of patches that are drawn; the region is as large as that of the map, and lies anywhere."""
        inside = similarity > -np.inf
        count = int(inside.sum())
        found = {"depth_mm": float(self.depth[inside].mean())}
        if not self.there:
            return found
        touching = int((self.lesion[inside] > 0).sum())
        found |= {
            "hit": blind_hit(count, touching),
            "hit_k": blind_hit(count, touching, k),
            "precision": touching / count,
            "recall": min(k, count) / count if touching else float("nan"),
            "cnr": 0.0,
            "distance_mm": float(self.distance[inside].mean()),
        }
        if threshold == threshold:
            share = (similarity >= threshold).sum() / count
            found |= vars(overlap(share * inside, self.lesion, self.scan, self.total))
        return found
