"""Where a lesion lies among the patches: from a mask on the scan's own grid to shares of the network's patches.

Axes: x y z voxels of the scan as stored, n patch (gx slowest, gz fastest), l lesion.
"""

from collections.abc import Sequence

import numpy as np

from simcrop.data.preprocess import Placement
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid


def lesion_shares(
    mask: np.ndarray, values: Sequence[int], placement: Placement, grid: PatchGrid
) -> np.ndarray:
    """Float `(l, n)` in [0, 1]: how much of each patch is filled by the voxels of the mask that have each value.

    A voxel counts whole for the patch that holds its centre.
    """
    voxels_per_patch = np.prod(placement.spec.spacing_mm) * grid.voxels / voxel_mm3(placement.source_affine)
    shares = lesion_voxels(mask, values, placement, grid) / voxels_per_patch
    return shares.clip(max=1.0)  # a patch can hold one voxel centre more than its volume says


def lesion_voxels(
    mask: np.ndarray, values: Sequence[int], placement: Placement, grid: PatchGrid
) -> np.ndarray:
    """Int64 `(l, n)`: how many voxels of the mask that have each value lie in each patch, by their centres."""
    if mask.shape != placement.source_shape:
        raise SimcropError(
            "bad-truth", f"a mask of {mask.shape} voxels cannot lie on a scan of {placement.source_shape}"
        )
    index, inside, permutation = placement.patch_of_source(grid.shape)
    turned = mask.transpose(permutation)  # axes of the input now, still the scan's own directions and voxels
    counts = np.zeros((len(values), grid.count), np.int64)
    for row, value in enumerate(values):
        at = np.nonzero(turned == value)
        reached = np.logical_and.reduce([ok[i] for ok, i in zip(inside, at, strict=True)])
        patch = np.ravel_multi_index([to[i][reached] for to, i in zip(index, at, strict=True)], grid.shape)
        counts[row] = np.bincount(patch, minlength=grid.count)
    return counts


def scan_voxels(placement: Placement, grid: PatchGrid) -> np.ndarray:
    """Int64 `(n,)`: how many voxels of the scan lie in each patch, by their centres."""
    index, inside, _ = placement.patch_of_source(grid.shape)
    x, y, z = (np.bincount(of[ok], minlength=n) for of, ok, n in zip(index, inside, grid.shape, strict=True))
    return (x[:, None, None] * y[:, None] * z).reshape(-1)


def voxel_mm3(affine: np.ndarray) -> float:
    return float(abs(np.linalg.det(affine[:3, :3])))
