"""What one model sees in one cohort, kept on disk so that no scan is encoded twice.

Axes: s scan, d features; of the questions, s sentence and n patch.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from simcrop.data.store.cohort import Cohort, Study
from simcrop.evaluation.asking import ask, draw_questions
from simcrop.evaluation.features import POOLS, Pooling, pooled_features
from simcrop.evaluation.pointing_game import Pointed
from simcrop.evaluation.truth import Truth
from simcrop.files.whole import write_whole
from simcrop.model import load

Pooled = Pooling | Literal["both"]  # one vector: the mean, then the largest values
QUESTIONS_SEED = 0  # every model of an experiment is asked the same questions


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """`pooled`: features `(s, d)` per way of pooling; `pointed`: answers to the questions about lesions, None where the
    method knows no sentences or was not asked.
    """

    pooled: dict[Pooling, np.ndarray]
    pointed: Pointed | None

    def of(self, pool: Pooled) -> np.ndarray:
        """`(s, d)`, or `(s, 2 d)` when both are asked for."""
        return np.concatenate(list(self.pooled.values()), axis=1) if pool == "both" else self.pooled[pool]


def cached_features(
    folder: Path, cohort: Cohort | Sequence[Study], truth: Truth | None, path: Path
) -> CachedFeatures:
    """What `path` holds, or computed now and written there. `truth` None: no questions."""
    if not path.exists():
        model = load(folder)
        seen = {f"pooled_{pool}": features for pool, features in pooled_features(model, cohort).items()}
        if truth is not None and model.projection is not None:
            seen |= vars(ask(model, cohort, draw_questions(cohort, truth, QUESTIONS_SEED), truth))
        write_arrays(path, seen)
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    features: dict[Pooling, np.ndarray] = {pool: arrays.pop(f"pooled_{pool}") for pool in POOLS}
    names = {name: arrays.pop(name).tolist() for name in ("kind", "patient") if name in arrays}
    return CachedFeatures(features, Pointed(**arrays, **names) if arrays else None)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())
