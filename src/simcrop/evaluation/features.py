"""Features of stored studies, nothing masked, some studies at a time.

Axes: b study, n patch, d features, e features that patches and sentences share.
"""

from collections.abc import Callable, Iterator, Sequence
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
AT_ONCE = 16  # volumes per pass


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


def patch_features(
    model: Model, studies: Cohort | Sequence[Study], at_once: int = AT_ONCE
) -> Iterator[tuple[list[Study], Float[Tensor, "b n d"]]]:
    """Features of every patch, pass after pass, beside the studies they belong to."""
    for batch in in_passes(studies, at_once):
        yield batch, model.features_of(volumes_of(batch, model.spec))


def regions(
    model: Model, studies: Cohort | Sequence[Study], at_once: int = AT_ONCE
) -> Iterator[tuple[list[Study], Float[Tensor, "b n e"]]]:
    """Every patch in the space of sentences, each of length one, pass after pass."""
    for batch in in_passes(studies, at_once):
        yield batch, model.regions_of(volumes_of(batch, model.spec)).cpu()


def pooled_features(
    model: Model,
    studies: Cohort | Sequence[Study],
    pool: Pooling = "mean",
    tell: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """One float32 vector per study, `(b, d)`: the mean of its patches, or the largest value of each feature.

    `tell` hears how many studies are done, of how many.
    """
    pooled: list[np.ndarray] = []
    for _, features in patch_features(model, studies):
        pooled += list(reduce(features, "b n d -> b d", pool).float().cpu().numpy())
        if tell is not None:
            tell(len(pooled), len(studies))
    return np.stack(pooled)
