"""The grid a phantom is drawn on, and the coordinates of its voxels in the patient's own frame.

Inside the phantom arrays are `(z, y, x)`, so that they lie in memory as NIfTI stores them. Millimetres in RAS+:
x grows to the patient's right, y to the front, z to the head. Voxels run the CT way (LPS): i left, j back, k up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simcrop.errors import SimcropError

Size = Literal["tiny", "small", "full"]
Difficulty = Literal["easy", "real"]
Triple = tuple[int, int, int]
Point = tuple[float, float, float]
Window = tuple[slice, slice, slice]

SIZES: dict[str, tuple[Triple, Point]] = {
    "tiny": ((64, 64, 32), (5.5, 5.5, 10.0)),
    "small": ((128, 128, 64), (2.75, 2.75, 5.0)),
    "full": ((512, 512, 300), (0.7, 0.7, 1.1)),
}
ABDOMEN_MM = 110.0  # how much lower a scan of the belly lies: all organs, and still the lower lungs
# The same patient on other grids: cubes as RAD-ChestCT keeps them, slices twice as thick, and the belly as in BTCV.
GRIDS: dict[str, tuple[Triple, Point]] = SIZES | {
    **{f"{size}-abdomen": grid for size, grid in SIZES.items()},
    "tiny-isotropic": ((64, 64, 58), (5.5, 5.5, 5.5)),
    "small-isotropic": ((128, 128, 116), (2.75, 2.75, 2.75)),
    "full-isotropic": ((440, 440, 412), (0.8, 0.8, 0.8)),
    "tiny-thick": ((64, 64, 16), (5.5, 5.5, 20.0)),
    "small-thick": ((128, 128, 32), (2.75, 2.75, 10.0)),
    "full-thick": ((512, 512, 150), (0.7, 0.7, 2.2)),
}
SLAB_VOXELS = 2**22  # a slab of this size needs little memory


@dataclass(frozen=True)
class Pose:
    """How the patient lies in the scanner: turned by `angle` radians about z, then moved by `shift_mm`."""

    angle: float
    shift_mm: Point

    def to_scanner(self, points: np.ndarray) -> np.ndarray:
        """Patient mm `(n, 3)` -> scanner mm `(n, 3)`."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        return points @ turn.T + self.shift_mm


@dataclass(frozen=True, eq=False)
class Points:
    """Coordinates in mm of the patient's frame: three float32 arrays that broadcast together as `(z, y, x)`."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    def __getitem__(self, window: Window) -> "Points":
        return Points(self.x[:, window[1], window[2]], self.y[:, window[1], window[2]], self.z[window[0]])


@dataclass(frozen=True)
class Grid:
    """Voxels `(x, y, z)` of `spacing_mm` around `centre_mm` of the scanner."""

    shape: Triple
    spacing_mm: Point
    centre_mm: Point

    @classmethod
    def of_size(cls, size: str, centre_mm: Point) -> "Grid":
        if size not in GRIDS:
            raise SimcropError("bad-setting", f"phantom size must be one of {', '.join(SIZES)}, got {size!r}")
        shape, spacing = GRIDS[size]
        x, y, z = centre_mm
        return cls(shape, spacing, (x, y, z - ABDOMEN_MM if size.endswith("-abdomen") else z))

    @property
    def first_mm(self) -> Point:
        """Scanner RAS+ mm of voxel (0, 0, 0): the rightmost, frontmost, lowest one."""
        half = [(n - 1) / 2 * s for n, s in zip(self.shape, self.spacing_mm, strict=True)]
        return self.centre_mm[0] + half[0], self.centre_mm[1] + half[1], self.centre_mm[2] - half[2]

    @property
    def affine(self) -> np.ndarray:
        """Voxel index `(i, j, k)` -> RAS+ mm."""
        affine = np.diag([-self.spacing_mm[0], -self.spacing_mm[1], self.spacing_mm[2], 1.0])
        affine[:3, 3] = self.first_mm
        return affine

    @property
    def edge_mm(self) -> float:
        """Width over which a surface is blurred: the mean voxel edge."""
        return sum(self.spacing_mm) / 3

    def slabs(self) -> Iterator[slice]:
        """Runs of slices that are drawn together."""
        step = max(1, SLAB_VOXELS // (self.shape[0] * self.shape[1]))
        for start in range(0, self.shape[2], step):
            yield slice(start, min(start + step, self.shape[2]))


class Frame:
    """One slab of a grid: its points in the patient's frame, and the voxels near a thing in that frame."""

    def __init__(self, grid: Grid, pose: Pose, slab: slice) -> None:
        self.pose, self.edge_mm = pose, grid.edge_mm
        first, step = np.array(grid.first_mm), np.array(grid.spacing_mm) * (-1, -1, 1)
        starts = (0, 0, slab.start)
        stops = (grid.shape[0], grid.shape[1], slab.stop)
        self.lines = [first[a] + step[a] * np.arange(starts[a], stops[a]) for a in range(3)]
        x, y = (
            self.lines[0][None, None, :] - pose.shift_mm[0],
            self.lines[1][None, :, None] - pose.shift_mm[1],
        )
        cos, sin = np.cos(pose.angle), np.sin(pose.angle)
        z = self.lines[2][:, None, None] - pose.shift_mm[2]
        self.points = Points(*(c.astype(np.float32) for c in (cos * x + sin * y, cos * y - sin * x, z)))
        self.shape: Triple = (len(self.lines[2]), len(self.lines[1]), len(self.lines[0]))
        self.spacing = np.array(grid.spacing_mm, np.float32)
        # Patient mm -> index (x, y, z) within the slab.
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        origin = np.array([line[0] for line in self.lines])
        self.to_index = np.column_stack([turn, pose.shift_mm - origin]) / step[:, None]

    @property
    def plane(self) -> np.ndarray:
        """x and y in mm of the patient's frame of every voxel of a slice, float32 `(2, y, x)`."""
        return np.concatenate([self.points.x, self.points.y])

    @property
    def heights(self) -> np.ndarray:
        """z in mm of the patient's frame of every slice."""
        return self.points.z[:, 0, 0]

    def window(self, corners: np.ndarray, reach_mm: float) -> Window | None:
        """Slices `(z, y, x)` of the voxels within `reach_mm` of the box around patient points `(n, 3)`."""
        mm = self.pose.to_scanner(corners)
        low, high = mm.min(0) - reach_mm - self.edge_mm, mm.max(0) + reach_mm + self.edge_mm
        slices = []
        for axis in (2, 1, 0):
            inside = np.flatnonzero((self.lines[axis] >= low[axis]) & (self.lines[axis] <= high[axis]))
            if not len(inside):
                return None
            slices.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return slices[0], slices[1], slices[2]
