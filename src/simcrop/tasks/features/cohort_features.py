"""Pooled features of a whole cohort, each scan encoded once per model, whatever is asked of them afterwards.

Axes: s scan, d features.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.format import FEATURES
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.features import POOLS, pooled_features, pooled_in_passes
from simcrop.evaluation.heads.augmented import KEY as AUGMENTED
from simcrop.evaluation.heads.augmented import looking_at
from simcrop.files.digest import digest_of_files
from simcrop.files.embeddings import holds_embeddings, read_embeddings
from simcrop.model import Model, load
from simcrop.model.folder import CONFIG, WEIGHTS, model_folder
from simcrop.tasks.features.scan_vectors import kept_vectors


def model_digest(folder: Path) -> str:
    """Of all that decides a model's features."""
    return digest_of_files(folder / WEIGHTS, folder / CONFIG)


def kept_features(
    folder: Path, cohort: Cohort, pool: str, random_seed: int | None = None, view: int = 0
) -> np.ndarray:
    """Features `(s, d)` of the whole cohort. They are kept in the cohort as they are made, for every way of pooling; a
    cohort that cannot be written keeps none.

    `random_seed`: of the same encoder as it was before training, drawn with that seed. `view`: of which augmented view,
    0 being the scan as it is.
    """
    model = model_digest(folder) + ("" if random_seed is None else f" untrained {random_seed}")
    model += f" view {view} {AUGMENTED}" if view else ""

    def loaded() -> Model:
        return load(folder) if random_seed is None else untrained(load(folder), random_seed)

    def embedding(passes: list[range]) -> Iterator[tuple[range, np.ndarray]]:
        if passes:
            studies = ([cohort[place] for place in places] for places in passes)
            for places, (_, found) in zip(
                passes, pooled_in_passes(loaded(), studies, looking_at(view)), strict=True
            ):
                yield places, np.concatenate([found[name] for name in POOLS], axis=1)

    made_of = zip(*(cohort.index[column].to_list() for column in ("id", "checksum", "affine")), strict=True)
    names = [f"{model} {study}" for study in made_of]
    suffix = ("" if random_seed is None else f"-untrained-{random_seed}") + (f"-view-{view}" if view else "")
    path = cohort.path / FEATURES / f"{model[:12]}{suffix}.vectors"
    words = ("features" if random_seed is None else "features of a random start") + (
        f", view {view}" if view else ""
    )
    vectors = kept_vectors(embedding, names, path, show_progress(words), must_keep=False)
    return np.split(vectors, len(POOLS), axis=1)[[*POOLS].index(pool)]


def cohort_features(
    model: Model | str | Path, cohort: Cohort | str | Path, pool: str = "mean"
) -> Float32[np.ndarray, "s d"]:
    """One pooled vector per study, in the order of the cohort's index. Of a model that is given by its folder they are
    kept in the cohort, and no scan is encoded twice; in the place of a model also features that were made elsewhere.
    """
    if pool not in POOLS:
        raise SimcropError("bad-setting", f"pool wants {' or '.join(POOLS)}, got {pool!r}")
    studies = cohort if isinstance(cohort, Cohort) else open_cohort(cohort)
    if isinstance(model, Model):
        return pooled_features(model, studies)["max" if pool == "max" else "mean"]
    if holds_embeddings(Path(model)):
        return read_embeddings(Path(model), pool).of(studies.index["id"].to_list(), str(model))
    return kept_features(model_folder(Path(model)), studies, pool)


def untrained(model: Model, seed: int) -> Model:
    """The same encoder with parameters drawn anew. What was measured of the cohort before training (buffers) stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = Model(model.recipe, model.text, model.tokenizer)
    state, measured = fresh.vision.state_dict(), dict(model.vision.named_buffers())
    fresh.vision.load_state_dict({name: measured.get(name, drawn) for name, drawn in state.items()})
    return fresh.to(model.device).eval()
