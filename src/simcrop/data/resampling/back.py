"""From classes on the resampled grid to labels on the grid in the file: the way back, a few rows at a time.

Axes: x y z of the resampled grid (RAS+), or of a crop of it; i j k as stored in the file; c class, 0 is background.
Affines map voxel index -> RAS+ mm; the two grids may differ in order and direction of axes, spacing and place.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.resampling.plan import Triple

EDGE = 1e-6  # in voxels: what rounding may move a voxel that lies right between two others, or at the end of the grid


@dataclass(frozen=True, eq=False)
class Line:
    """Where the stored voxels along one axis lie between the grid's. Of those from `start` to `stop`, which the grid
    reaches: the grid voxel `low` at or before each, and the share `weight` of the one behind it.
    """

    axis: int  # as stored
    start: int
    stop: int
    low: np.ndarray
    weight: np.ndarray


def line(axis: int, stored: int, length: int, step: float, shift: float, nearest: bool) -> Line:
    """Of `stored` voxels, the first at `shift` voxels of a grid of `length`, the others `step` apart from one another.

    The grid reaches half a voxel beyond the middle of its last one; there, it goes on as it ends.
    """
    position = np.arange(stored) * step + shift
    reached = np.flatnonzero((position >= -0.5 - EDGE) & (position <= length - 0.5 + EDGE))
    start, stop = (int(reached[0]), int(reached[-1]) + 1) if len(reached) else (0, 0)
    position = position[start:stop]
    if nearest:
        position = np.floor(position + 0.5 + EDGE)
    position = position.clip(0, length - 1)
    low = np.floor(position + EDGE).astype(np.int64)
    return Line(axis, start, stop, low, (position - low).clip(0).astype(np.float32))


class LabelsBack:
    """Takes probabilities of classes in rows from low to high x, each row once, and turns them into labels as stored.

    Probabilities are interpolated linearly and the largest wins; with `nearest` the grid voxel that holds the middle of
    a stored one decides alone. What the grid does not reach is background.
    """

    def __init__(
        self,
        source_shape: Triple,
        source_affine: np.ndarray,
        shape: Triple,
        affine: np.ndarray,
        nearest: bool = False,
    ) -> None:
        to_grid = np.linalg.inv(affine) @ source_affine
        axes = np.abs(to_grid[:3, :3]).argmax(1)  # the stored axis of x, y and z
        self.lines = [
            line(int(i), source_shape[i], shape[axis], to_grid[axis, i], to_grid[axis, 3], nearest)
            for axis, i in enumerate(axes)
        ]
        self.length, self.taken = shape[0], 0
        self.held: Row | None = None
        self.turned = np.zeros([source_shape[i] for i in axes], np.int16)
        self.labels = self.turned.transpose(np.argsort(axes))  # int16 (i, j, k)

    def take(self, probabilities: np.ndarray) -> None:
        """The next rows, float32 `(c, d, y, z)`."""
        for d in range(probabilities.shape[1]):
            row = row_of(probabilities[:, d])
            if self.held is not None:
                self.write(self.held, row)
            self.held, self.taken = row, self.taken + 1
        if self.taken == self.length and self.held is not None:
            self.taken, self.held = self.taken + 1, self.write(self.held, self.held)

    def write(self, low: "Row", high: "Row") -> None:
        """The stored planes that lie between two rows, the first of which was taken last."""
        from simcrop.data.resampling.votes import agreed, vote

        across, down, along = self.lines
        planes = np.flatnonzero(across.low == self.taken - 1)
        if not len(planes):
            return
        cells = agreed(low.labels, high.labels)
        for plane in planes:
            vote(
                low.values,
                high.values,
                cells,
                across.weight[plane],
                down.low,
                down.weight,
                along.low,
                along.weight,
                self.turned[across.start + plane, down.start : down.stop, along.start : along.stop],
            )


@dataclass(frozen=True, eq=False)
class Row:
    """One row of the grid: `values` `(y, z, c)`, and the class with the largest of them `(y, z)`."""

    values: np.ndarray
    labels: np.ndarray


def row_of(probabilities: np.ndarray) -> Row:
    """Of `(c, y, z)`."""
    values = np.ascontiguousarray(np.moveaxis(probabilities, 0, -1), np.float32)
    return Row(values, values.argmax(-1).astype(np.int16))
