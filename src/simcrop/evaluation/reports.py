"""Reports as their sentences, each distinct one encoded once. Axes: r report, s scan, q distinct sentence, e
features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.data.report import sentences
from simcrop.evaluation.asking import encode_once
from simcrop.model import Model


@dataclass(frozen=True, eq=False)
class Reports:
    """Distinct sentences with their vectors `(q, e)`, and which of them each report has."""

    sentences: tuple[str, ...]
    vectors: np.ndarray
    members: tuple[np.ndarray, ...]

    def scores(self, of_sentences: np.ndarray) -> np.ndarray:
        """`(s, r)` from `(s, q)`: the mean over a report's sentences, NaN of a report without any."""
        means = [
            of_sentences[:, rows].mean(1) if len(rows) else np.full(len(of_sentences), np.nan)
            for rows in self.members
        ]
        return np.stack(means, axis=1)


def read_reports(model: Model, texts: Sequence[str]) -> Reports:
    """Each distinct sentence is encoded once."""
    split = [sentences(text) for text in texts]
    distinct = tuple(sorted({sentence for of in split for sentence in of}))
    known, place = encode_once(model, distinct), {sentence: i for i, sentence in enumerate(distinct)}
    vectors = np.stack([known[sentence] for sentence in distinct]) if distinct else np.zeros((0, 0))
    members = tuple(np.array([place[sentence] for sentence in dict.fromkeys(of)], dtype=int) for of in split)
    return Reports(distinct, vectors, members)
