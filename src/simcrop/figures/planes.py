"""Which three cuts to show, and where things lie on them.

Axes: x runs right, y front, z up (RAS+). A position on a cut is in mm along the grid, 0 at the first voxel centre.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from nibabel.affines import apply_affine

from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

MOST_TIES = 100_000
Number = int | float
Rectangle = tuple[Number, Number, Number, Number]  # across low, high, up low, high; mm along the grid
Point = tuple[float, float]


@dataclass(frozen=True)
class View:
    """One way to cut. `across`, `up` and `through` are axes of a RAS+ grid; the picture is drawn with `across`
    falling from left to right, so that the patient's right is on the viewer's left, and the front left of the back.
    """

    name: str
    across: int
    up: int
    through: int
    letters: str  # left, right, top, bottom


AXIAL = View("axial", across=0, up=1, through=2, letters="RLAP")
CORONAL = View("coronal", across=0, up=2, through=1, letters="RLSI")
SAGITTAL = View("sagittal", across=1, up=2, through=0, letters="APSI")
VIEWS = (AXIAL, CORONAL, SAGITTAL)


def plane_of(grid: np.ndarray, view: View, place: int) -> np.ndarray:
    """One plane of `grid` `(x, y, z)`, `(up, across)`, no copy; `np.take` would first copy all of a turned grid."""
    return np.moveaxis(grid, view.through, 0)[place].T


@dataclass(frozen=True, eq=False)
class Scene:
    """A scan turned to RAS+ with its heat map, and the voxel where the three cuts meet."""

    scan: Volume
    heat: np.ndarray | None
    centre: tuple[int, int, int]

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """The meeting point in RAS+ mm of the patient."""
        x, y, z = apply_affine(self.scan.affine, self.centre).tolist()
        return x, y, z

    def cut(self, grid: np.ndarray, view: View) -> np.ndarray:
        """The plane of `grid` through the centre, `(up, across)`."""
        return plane_of(grid, view, self.centre[view.through])

    def extent(self, view: View) -> Rectangle:
        """Outer edges of the plane."""
        sizes = [
            (-0.5 * mm, (n - 0.5) * mm) for n, mm in zip(self.scan.shape, self.scan.spacing_mm, strict=True)
        ]
        return (*sizes[view.across], *sizes[view.up])

    def cross(self, view: View) -> tuple[float, float]:
        """Where the other two cuts meet this one: across, up, in mm along the grid."""
        spacing = self.scan.spacing_mm
        return self.centre[view.across] * spacing[view.across], self.centre[view.up] * spacing[view.up]

    def crossed(self, boxes_mm: np.ndarray, view: View) -> list[Rectangle]:
        """Boxes `(k, 2, 3)` in patient mm that the cut goes through."""
        to_index = np.linalg.inv(self.scan.affine)
        rectangles = []
        for box in boxes_mm:
            corners = apply_affine(to_index, np.array(list(product(*box.T))))
            low, high = corners.min(0), corners.max(0)
            if low[view.through] <= self.centre[view.through] <= high[view.through]:
                edges = np.stack([low, high], 1) * np.array(self.scan.spacing_mm)[:, None]
                rectangles.append((*edges[view.across].tolist(), *edges[view.up].tolist()))
        return rectangles


def make_scene(volume: Volume, heat: np.ndarray | None = None, at_mm: np.ndarray | None = None) -> Scene:
    """Turn scan and heat map to RAS+; cut at `at_mm`, else through the largest heat, else in the middle."""
    if heat is not None and heat.shape != volume.hu.shape:
        raise SimcropError(
            "heat-map-grid", f"a heat map of {heat.shape} voxels does not lie on a scan of {volume.hu.shape}"
        )
    scan = volume.to_ras()
    turned = None if heat is None else replace(volume, hu=heat).to_ras().hu
    if turned is not None and not np.isfinite(turned).any():
        turned = None
    if at_mm is not None:
        return Scene(scan, turned, voxel_at(scan, at_mm))
    middle = tuple_of_three(np.array(scan.shape) // 2)
    return Scene(scan, turned, middle if turned is None else hottest(turned))


def voxel_at(scan: Volume, at_mm: np.ndarray) -> tuple[int, int, int]:
    """The voxel that holds a point given in RAS+ mm."""
    index = apply_affine(np.linalg.inv(scan.affine), at_mm).round()
    if not (np.isfinite(index).all() and (index >= 0).all() and (index < scan.shape).all()):
        raise SimcropError(
            "outside-scan", f"the point {np.round(at_mm, 1).tolist()} mm lies outside the scan"
        )
    return tuple_of_three(index)


def hottest(heat: np.ndarray) -> tuple[int, int, int]:
    """The voxel with the largest value; of many equal ones (a whole patch) the one nearest to their middle."""
    ties = np.flatnonzero(heat == np.nanmax(heat))
    ties = np.stack(np.unravel_index(ties[:: 1 + len(ties) // MOST_TIES], heat.shape), 1)
    return tuple_of_three(ties[((ties - ties.mean(0)) ** 2).sum(1).argmin()])


def tuple_of_three(index: np.ndarray) -> tuple[int, int, int]:
    """An index array as plain integers."""
    x, y, z = (int(i) for i in index)
    return x, y, z


def seen(scene: Scene, view: View) -> list[Rectangle]:
    """The part of a cut that the model saw, where that is less than the whole cut."""
    if scene.heat is None:
        return []
    finite = np.isfinite(scene.cut(scene.heat, view))
    if finite.all() or not finite.any():
        return []
    across, up = np.flatnonzero(finite.any(0))[[0, -1]], np.flatnonzero(finite.any(1))[[0, -1]]
    half = np.array([-0.5, 0.5])
    left, right = ((across + half) * scene.scan.spacing_mm[view.across]).tolist()
    bottom, top = ((up + half) * scene.scan.spacing_mm[view.up]).tolist()
    return [(left, right, bottom, top)]


def border(rectangles: list[Rectangle]) -> list[tuple[Point, Point]]:
    """The outer rim of a union of rectangles as line pieces: neighbours share no line."""
    if not rectangles:
        return []
    # Rounded, because the shared edge of two neighbours is computed twice and may differ in the last bit.
    edges = np.round(np.array(rectangles), 3)
    xs, ys = np.unique(edges[:, :2]), np.unique(edges[:, 2:])
    inside = np.zeros((len(xs) + 1, len(ys) + 1), dtype=bool)  # one empty cell all around
    for left, right, bottom, top in edges:
        columns, rows = np.searchsorted(xs, (left, right)), np.searchsorted(ys, (bottom, top))
        inside[columns[0] + 1 : columns[1] + 1, rows[0] + 1 : rows[1] + 1] = True
    upright = np.argwhere(inside[1:, 1:-1] != inside[:-1, 1:-1])
    level = np.argwhere(inside[1:-1, 1:] != inside[1:-1, :-1])
    pieces = [((float(xs[i]), float(ys[j])), (float(xs[i]), float(ys[j + 1]))) for i, j in upright]
    return pieces + [((float(xs[i]), float(ys[j])), (float(xs[i + 1]), float(ys[j]))) for i, j in level]
