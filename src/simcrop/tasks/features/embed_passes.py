"""A cohort's scans for `simcrop embed`, pass after pass: features of those that can be read, and why others cannot.

Axes: s scan, n patch, d features. A row of NaN stands for a scan whose stored volume is gone or damaged.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from torch import Tensor

from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError
from simcrop.evaluation.features import middle, middle_or_none, pooled, volumes_ahead
from simcrop.model import Model


def vectors_in_passes(model: Model, passes: Iterable[Sequence[Study]]) -> Iterator[np.ndarray]:
    """Mean patch features `(s, d)` of one pass of studies after the other."""
    for studies, read, features in features_in_passes(model, passes):
        vectors = np.full((len(studies), model.recipe.vision.dim), np.nan, np.float32)
        if read:
            rows = {study.id: row for row, study in enumerate(studies)}
            vectors[[rows[study.id] for study in read]] = pooled(features)["mean"]
        yield vectors


def features_in_passes(
    model: Model, passes: Iterable[Sequence[Study]]
) -> Iterator[tuple[list[Study], list[Study], Tensor]]:
    """The studies of every pass, those that can be read, and the features `(s, n, d)` of their patches."""
    asked: list[list[Study]] = []

    def listed() -> Iterator[list[Study]]:
        for studies in passes:
            asked.append(list(studies))
            yield asked[-1]

    for read, volumes in volumes_ahead(listed(), model.spec, middle_or_none):
        yield asked.pop(0), read, model.features_of(volumes) if read else volumes


def no_numbers() -> SimcropError:
    """Of a scan by itself, of which nothing is left to write."""
    return SimcropError("not-finite", "nothing is written: the scan's features are no numbers")


def refusals(model: Model, cohort: Cohort, rows: Sequence[int]) -> list[dict[str, str]]:
    """Why the scans in these rows of the index could not be read: id, reason, sentence."""
    found = []
    for study in (cohort[row] for row in rows):
        try:
            middle(study, model.spec)
            reason, sentence = "not-finite", "its features are no numbers"
        except SimcropError as error:
            reason, sentence = error.reason, error.sentence
        found.append({"id": study.id, "reason": reason, "sentence": sentence})
    return found
