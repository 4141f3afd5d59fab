"""What sentences score in every scan of a cohort, kept beside its features as it is made.

Axes: s scan, q sentence, r what is made of the sentences' scores.
"""

from collections.abc import Callable, Iterator

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.data.store.format import FEATURES
from simcrop.engine.progress import show_progress
from simcrop.evaluation.sentence_scores import sentence_scores
from simcrop.files.digest import digest_of_bytes
from simcrop.model import Model
from simcrop.tasks.features.scan_vectors import kept_vectors


def kept_scores(
    model: Model,
    digest: str,
    cohort: Cohort,
    vectors: np.ndarray,
    k: int,
    joined: Callable[[np.ndarray], np.ndarray] = lambda scores: scores,
    how: bytes = b"",
) -> np.ndarray:
    """`(s, r)`: of every scan what `joined` makes of the scores `(s, q)` of these sentences; `how` names it.

    `digest`: of the model. A scan that was asked the same before is not looked at again.
    """

    def embedding(passes: list[range]) -> Iterator[tuple[range, np.ndarray]]:
        studies = ([cohort[place] for place in places] for places in passes)
        for places, scores in zip(passes, sentence_scores(model, vectors, studies, k), strict=True):
            yield places, joined(scores).astype(np.float32)

    asked = digest_of_bytes(vectors.tobytes() + how)
    made_of = zip(*(cohort.index[column].to_list() for column in ("id", "checksum", "affine")), strict=True)
    names = [f"{digest} {asked} {k} {study}" for study in made_of]
    path = cohort.path / FEATURES / f"{digest[:12]}-{asked[:12]}-{k}.vectors"
    return kept_vectors(embedding, names, path, show_progress("sentences"), must_keep=False)
