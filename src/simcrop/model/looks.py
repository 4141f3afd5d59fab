"""Many looks at one scan, averaged on one grid: shifted by parts of a patch, and over a scan larger than the input.

Axes: s sentence, n patch, e features shared with texts, x y z voxels of the input (RAS+), X Y Z cells: each patch is
cut into `along` cells along each axis. Inputs in [-1, 1].
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from einops import einsum, repeat
from jaxtyping import Float
from torch import Tensor

from simcrop.data.preprocess import Placement, Triple, triple
from simcrop.model.sliding_window import starts_along
from simcrop.nn.patch import PatchGrid

Look = Callable[[Triple], Tensor]  # where an input begins, in voxels of the whole -> its patches (n e)
OVERLAP = 0.5  # of inputs that cover a scan


def cells_of(grid: PatchGrid, along: int) -> PatchGrid:
    """The same volume in cells."""
    return PatchGrid(grid.volume, triple([n // along for n in grid.patch]))


def averaged(
    texts: Float[Tensor, "s e"],
    look: Look,
    window: PatchGrid,
    whole: PatchGrid,
    along: int,
) -> Float[Tensor, "s X Y Z"]:
    """Cosine of every text with every cell of `whole`: the mean over the patches that hold it, of inputs of the shape
    of `window` that cover the whole and half overlap, each looked at from `along` places per axis, which begin parts of
    a patch earlier. One input at a time is in memory, and of it no more than its similarities is kept.
    """
    cells = cells_of(whole, along)
    total, looks = texts.new_zeros(len(texts), *cells.shape), texts.new_zeros(cells.shape)
    for begin in product(
        *(starts_along(w, g, OVERLAP) for w, g in zip(whole.shape, window.shape, strict=True))
    ):
        for back in product(range(along), repeat=3):
            first = [b * along - part for b, part in zip(begin, back, strict=True)]
            at = triple([f * n for f, n in zip(first, cells.patch, strict=True)])
            patches = einsum(texts, look(at), "s e, n e -> s n").view(-1, *window.shape)
            spread = repeat(patches, "s x y z -> s (x i) (y j) (z k)", i=along, j=along, k=along)
            here = [slice(max(f, 0), f + g * along) for f, g in zip(first, window.shape, strict=True)]
            x, y, z = (slice(max(-f, 0), None) for f in first)
            total[:, *here] += spread[:, x, y, z]
            looks[*here] += 1
    return total / looks


def covering(placement: Placement, grid: PatchGrid) -> tuple[Placement, PatchGrid]:
    """The input grown by whole patches on each side until it holds the scan, on the same lattice of patches."""
    rows = zip(placement.start, placement.resampled_shape, grid.volume, grid.patch, strict=True)
    before, behind = [], []
    for start, length, volume, patch in rows:
        before.append(patches_beyond(start, patch))
        behind.append(patches_beyond(length - start - volume, patch))
    grown = [n + (b + a) * p for n, b, a, p in zip(grid.volume, before, behind, grid.patch, strict=True)]
    starts = [s - b * p for s, b, p in zip(placement.start, before, grid.patch, strict=True)]
    spec = replace(placement.spec, shape=triple(grown))
    return replace(placement, spec=spec, start=triple(starts)), PatchGrid(triple(grown), grid.patch)


def patches_beyond(voxels: int, patch: int) -> int:
    """Patches that hold so many voxels beside the input; none where the input reaches farther than the scan."""
    return -(-max(voxels, 0) // patch)


def as_rows(similarity: Float[Tensor, "s X Y Z"]) -> np.ndarray:
    """`(s, n)`."""
    return similarity.reshape(len(similarity), -1).cpu().numpy()


def within(begin: Triple, start: Sequence[int]) -> Triple:
    """Where an input begins in the resampled scan."""
    return triple([b + s for b, s in zip(begin, start, strict=True)])
