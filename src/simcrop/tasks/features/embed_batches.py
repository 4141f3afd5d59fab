"""`simcrop embed` on a Ray cluster: batches of a cohort's scans, each embedded by whichever machine is free.

No axes or units. Model and cohort lie on storage that all machines share.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.model import Model, load
from simcrop.parallel.cluster import each_on_ray
from simcrop.tasks.features.embed_passes import vectors_in_passes


@dataclass(frozen=True)
class ScanBatch:
    """`places` of scans in the cohort's index. `threads` as in one process, or the last bits would differ."""

    model: str
    cohort: Path
    places: range
    threads: int


def embed_on_ray(
    model: str, cohort: Path, passes: Sequence[range], address: str
) -> Iterator[tuple[range, np.ndarray]]:
    """Vectors `(s, d)` of the scans at the places of each pass, in the order of completion."""
    threads, folder = torch.get_num_threads(), str(Path(model).absolute())
    batches = [ScanBatch(folder, cohort.absolute(), places, threads) for places in passes]
    yield from each_on_ray(embed_batch, batches, address, died, threads, gpu=True)


def embed_batch(batch: ScanBatch) -> tuple[range, np.ndarray]:
    """On the other machine: the vectors of one batch."""
    for folder in (Path(batch.model), batch.cohort):
        if not folder.is_dir():
            raise SimcropError(
                "not-shared",
                f"{os.uname().nodename}: does not see {folder}; model and cohort must lie on storage that all "
                "machines of the cluster share",
            )
    torch.set_num_threads(batch.threads)
    network, cohort = opened(batch.model, batch.cohort)
    (vectors,) = vectors_in_passes(network, [[cohort[place] for place in batch.places]])
    return batch.places, vectors


@lru_cache(maxsize=1)
def opened(model: str, cohort: Path) -> tuple[Model, Cohort]:
    """Read once per process and not once per batch."""
    return load(model), open_cohort(cohort)


def died(batch: ScanBatch) -> NoReturn:
    raise SimcropError(
        "worker-died",
        f"{len(batch.places)} scans could not be embedded, their process died again and again, perhaps for its "
        "memory; --resume tries them once more",
    )
