"""The patch tokens of scans for `simcrop embed --tokens`: a file per scan, each whole before the next is begun.

Axes: n patch (gx slowest, gz fastest), d features; centres in RAS+ mm of the scan's own frame.
"""

from pathlib import Path

import numpy as np

from simcrop.data.preprocess import Placement
from simcrop.data.samples.dataset import placement_of
from simcrop.data.store.cohort import Cohort
from simcrop.data.volume import Volume
from simcrop.engine.progress import Pace, show_progress
from simcrop.evaluation.features import AT_ONCE
from simcrop.files.embedding_files import file_of, write_tokens
from simcrop.model import Model
from simcrop.nn.patch import PatchGrid
from simcrop.tasks.features.embed_passes import features_in_passes, no_numbers


def write_tokens_of_one(model: Model, name: str, volume: Volume, out: Path, form: str) -> None:
    """Of a scan in a file of its own."""
    seen = model.look(volume)
    features = seen.features.float().cpu().numpy()
    if not np.isfinite(features).all():
        raise no_numbers()
    write_tokens(file_of(out, name, form), features, *centres(seen.placement, model.grid))


def write_tokens_of_all(model: Model, cohort: Cohort, out: Path, form: str) -> list[int]:
    """Of every stored scan that has no file yet; the rows of those that could not be read or whose
    features are no numbers.
    """
    ids = cohort.index["id"].to_list()
    todo = [row for row, name in enumerate(ids) if not file_of(out, name, form).exists()]
    progress, pace, done = show_progress("embed"), Pace("scans"), len(ids) - len(todo)
    passes = ([cohort[row] for row in todo[at : at + AT_ONCE]] for at in range(0, len(todo), AT_ONCE))
    written: set[str] = set()
    pace(done, len(ids))
    for studies, read, features in features_in_passes(model, passes):
        for study, tokens in zip(read, features.float().cpu().numpy(), strict=True):
            if not np.isfinite(tokens).all():
                continue
            placement = placement_of(study, model.spec)
            write_tokens(file_of(out, study.id, form), tokens, *centres(placement, model.grid))
            written.add(study.id)
        done += len(studies)
        progress(done, len(ids), pace(done, len(ids)))
    return [row for row in todo if ids[row] not in written]


def centres(placement: Placement, grid: PatchGrid) -> tuple[np.ndarray, np.ndarray]:
    """The middle of every patch `(n, 3)`, and `(n,)` which hold a voxel of the scan and not only padding around it."""
    return placement.centres_mm(grid.shape), placement.holds_scan(grid.shape).reshape(-1)
