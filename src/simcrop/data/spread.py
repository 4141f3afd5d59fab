"""Choices of patches on the grid of the scan's own file, a finding or a plane at a time.

Axes: f finding; gx, gy, gz patch of the input; x, y, z voxels in the order of the file. Every voxel belongs to the
patch that holds its centre, as in `Placement.to_source`; one that the input did not reach belongs to none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simcrop.data.preprocess import Placement, Triple


@dataclass(frozen=True, eq=False)
class Spread:
    """Of each of the file's axes: the patch that holds a voxel, and whether the input reached it. `order`: which axis
    of the patches runs along it.
    """

    grid: Triple
    index: tuple[np.ndarray, ...]
    inside: tuple[np.ndarray, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, placement: Placement, grid: Triple) -> "Spread":
        index, inside, permutation = placement.patch_of_source(grid)
        order = np.argsort(permutation).tolist()
        return cls(grid, tuple(index[a] for a in order), tuple(inside[a] for a in order), tuple(order))

    def whole(self, chosen: np.ndarray) -> np.ndarray:
        """Bool `(gx, gy, gz)` as bool `(x, y, z)`."""
        found = chosen.transpose(self.order)[np.ix_(*self.index)]
        x, y, z = self.inside
        found &= x[:, None, None] & y[None, :, None]
        found &= z
        return found

    def planes(self, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Bool `(f, gx, gy, gz)` as planes `(y, x, f)` along z, uint8, each a new one."""
        turned = chosen.transpose(*(axis + 1 for axis in reversed(self.order)), 0).astype(np.uint8)
        (i, j, k), (x, y, z) = self.index, self.inside
        reached = (y[:, None] & x[None, :])[..., None]
        for at, there in zip(k, z, strict=True):
            yield turned[at][j[:, None], i[None, :]] * (reached & there)

    def voxels(self) -> np.ndarray:
        """How many voxels of the file each patch holds, `(gx, gy, gz)`."""
        along = [
            np.bincount(index[inside], minlength=self.grid[axis])
            for index, inside, axis in zip(self.index, self.inside, self.order, strict=True)
        ]
        x, y, z = along
        return (x[:, None, None] * y[None, :, None] * z).transpose(np.argsort(self.order))

    def marked(self, mask: np.ndarray) -> np.ndarray:
        """How many voxels of a mask `(x, y, z)` each patch holds, `(gx, gy, gz)`."""
        where = np.nonzero(mask)
        reached = np.logical_and.reduce([inside[at] for inside, at in zip(self.inside, where, strict=True)])
        places = [index[at][reached] for index, at in zip(self.index, where, strict=True)]
        shape = [self.grid[axis] for axis in self.order]
        flat = np.ravel_multi_index(places, shape)
        counts = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
        return counts.transpose(np.argsort(self.order))
