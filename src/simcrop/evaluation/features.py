"""Features of stored studies, nothing masked, some studies at a time.

Axes: b study, n patch, d features, e features that patches and sentences share.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from simcrop.data.preprocess import InputSpec
from simcrop.data.samples.dataset import cut
from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError
from simcrop.model import Model

Pooling = Literal["mean", "max"]
POOLS: tuple[Pooling, ...] = ("mean", "max")
AT_ONCE = 16  # volumes per pass
UNREADABLE = ("missing-volume", "corrupt-volume")
READERS = 4  # threads: reading a stored scan takes longer than encoding it on a card


def volumes_of(studies: Sequence[Study], spec: InputSpec) -> Float[Tensor, "b 1 x y z"]:
    """The middle of each scan as the network sees it, in [-1, 1]."""
    return torch.stack([torch.from_numpy(middle(study, spec))[None] for study in studies])


def middle(study: Study, spec: InputSpec) -> np.ndarray:
    """One crop; an error names its study."""
    try:
        return cut(study, spec, None)
    except SimcropError as error:
        raise SimcropError(error.reason, f"study {study.id}: {error.sentence}") from error


def in_passes(studies: Cohort | Sequence[Study], at_once: int = AT_ONCE) -> Iterator[list[Study]]:
    """The studies in their order, `at_once` of them at a time."""
    for start in range(0, len(studies), at_once):
        yield [studies[i] for i in range(start, min(start + at_once, len(studies)))]


def middle_or_none(study: Study, spec: InputSpec) -> np.ndarray | None:
    """The same; None where the stored volume is gone or damaged, which is no fault of the others."""
    try:
        return middle(study, spec)
    except SimcropError as error:
        if error.reason not in UNREADABLE:
            raise
        return None


def volumes_ahead(
    passes: Iterable[Sequence[Study]],
    spec: InputSpec,
    read: Callable[[Study, InputSpec], np.ndarray | None] = middle,
) -> Iterator[tuple[list[Study], Float[Tensor, "b 1 x y z"]]]:
    """Studies and their volumes, pass after pass; while one is worked on, threads read the next. Those of which `read`
    gives nothing are left out.
    """
    waiting: deque[tuple[list[Study], list[Future[np.ndarray | None]]]] = deque()
    with ThreadPoolExecutor(READERS) as readers:
        for studies in passes:
            waiting.append((list(studies), [readers.submit(read, study, spec) for study in studies]))
            if len(waiting) > 1:
                yield joined(*waiting.popleft(), spec)
        while waiting:
            yield joined(*waiting.popleft(), spec)


def joined(
    studies: list[Study], volumes: Sequence[Future[np.ndarray | None]], spec: InputSpec
) -> tuple[list[Study], Float[Tensor, "b 1 x y z"]]:
    """Once all are read."""
    read = [(study, volume.result()) for study, volume in zip(studies, volumes, strict=True)]
    found = [(study, torch.from_numpy(volume)[None]) for study, volume in read if volume is not None]
    if not found:
        return [], torch.zeros(0, 1, *spec.shape)
    return [study for study, _ in found], torch.stack([volume for _, volume in found])


def patch_features(
    model: Model, studies: Cohort | Sequence[Study], at_once: int = AT_ONCE
) -> Iterator[tuple[list[Study], Float[Tensor, "b n d"]]]:
    """Features of every patch, pass after pass, beside the studies they belong to."""
    for batch, volumes in volumes_ahead(in_passes(studies, at_once), model.spec):
        yield batch, model.features_of(volumes)


def regions(
    model: Model, studies: Cohort | Sequence[Study], at_once: int = AT_ONCE
) -> Iterator[tuple[list[Study], Float[Tensor, "b n e"]]]:
    """Every patch in the space of sentences, each of length one, pass after pass."""
    for batch, volumes in volumes_ahead(in_passes(studies, at_once), model.spec):
        yield batch, model.regions_of(volumes).cpu()


def pooled(features: Float[Tensor, "b n d"]) -> dict[Pooling, np.ndarray]:
    """One float32 vector per study, `(b, d)`: the mean of its patches, and the largest value of each feature."""
    return {pool: reduce(features, "b n d -> b d", pool).float().cpu().numpy() for pool in POOLS}


def pooled_in_passes(
    model: Model,
    passes: Iterable[Sequence[Study]],
    read: Callable[[Study, InputSpec], np.ndarray] = middle,
) -> Iterator[tuple[list[Study], dict[Pooling, np.ndarray]]]:
    """The same of one pass of studies after the other."""
    for studies, volumes in volumes_ahead(passes, model.spec, read):
        yield studies, pooled(model.features_of(volumes))


def pooled_features(model: Model, studies: Cohort | Sequence[Study]) -> dict[Pooling, np.ndarray]:
    """The same of all studies, every scan being encoded once."""
    parts = [found for _, found in pooled_in_passes(model, in_passes(studies))]
    return {pool: np.concatenate([part[pool] for part in parts]) for pool in POOLS}
