"""Solid bodies put together from simple ones, as signed distances: negative inside, zero on the surface.

Everything is mm of the patient's frame (x right, y front, z up). Distances are approximate away from the surface. A
solid is float32 rows `(n, ROW)` that the loops of `carving.py` run through.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.grid import Point, Points
from simcrop.phantom.kernels import carving
from simcrop.phantom.kernels.texture import texture_tile

ENDLESS = float("inf")
STEEPEST = 2.4  # how much the texture changes from one lattice point to the next, at most


@dataclass(frozen=True, eq=False)
class Solid:
    """`a - b` is a without b, `a & b` where both are, `a | b` where either is; methods give changed copies."""

    rows: np.ndarray

    def __or__(self, other: "Solid") -> "Solid":
        return Solid(np.concatenate([self.rows, other.rows, row(carving.UNION)]))

    def __and__(self, other: "Solid") -> "Solid":
        return Solid(np.concatenate([self.rows, other.rows, row(carving.WITHIN)]))

    def __sub__(self, other: "Solid") -> "Solid":
        return Solid(np.concatenate([self.rows, other.rows, row(carving.CUT)]))

    def blended(self, other: "Solid", mm: float) -> "Solid":
        """Both together, with the groove between them filled over `mm`."""
        return Solid(np.concatenate([self.rows, other.rows, row(carving.BLEND, mm)]))

    @property
    def inverse(self) -> "Solid":
        """All that lies outside."""
        return Solid(np.concatenate([self.rows, row(carving.INVERSE)]))

    def grown(self, mm: float) -> "Solid":
        return Solid(np.concatenate([self.rows, row(carving.GROWN, mm)]))

    def shell(self, half_mm: float) -> "Solid":
        """What lies within `half_mm` of the surface; never thinner than a voxel."""
        return Solid(np.concatenate([self.rows, row(carving.SHELL, half_mm)]))

    def hoops(self, comb: "Solid", half_mm: float, half_height: float) -> "Solid":
        """Rods of oval section where the surface meets the plates of a comb."""
        return Solid(np.concatenate([self.rows, comb.rows, row(carving.HOOP, half_mm, half_height)]))

    def uneven(self, mm: float, per_mm: float = 1 / carving.TILE_MM) -> "Solid":
        """With dents and bulges of up to `mm`; not more than 2, or it is no distance any more."""
        return Solid(np.concatenate([self.rows, row(carving.UNEVEN, mm, per_mm)]))

    @property
    def slope(self) -> float:
        """How fast the distance may grow per mm; what is no true distance grows faster than 1."""
        hoops = 0.15 if (self.rows[:, 0] == carving.HOOP).any() else 0.0
        uneven = self.rows[self.rows[:, 0] == carving.UNEVEN]
        return 1.02 + hoops + STEEPEST * float((uneven[:, 1] * uneven[:, 2]).sum())

    def distance(self, points: Points, offset: np.ndarray | None = None) -> np.ndarray:
        """Distance in mm of each point, in the shape to which the coordinates broadcast."""
        texture = (texture_tile(), np.zeros(6, np.float32) if offset is None else offset)
        at, shape = flat(points)
        out = np.empty(at.shape[1], np.float32)
        carving.measure(self.rows, at, texture, out)
        return out.reshape(shape)


def flat(points: Points) -> tuple[np.ndarray, tuple[int, ...]]:
    """Points as `(3, n)`, and the shape they had."""
    shape = np.broadcast_shapes(points.x.shape, points.y.shape, points.z.shape)
    at = np.empty((3, *shape), np.float32)
    for axis, line in enumerate((points.x, points.y, points.z)):
        at[axis] = line
    return at.reshape(3, -1), shape


def row(code: int, *parameters: float | int) -> np.ndarray:
    line = np.zeros((1, carving.ROW), np.float32)
    line[0, 0], line[0, 1 : len(parameters) + 1] = code, parameters
    return line


def oval(centre: Point, radii: Point, *, down: float = 0.0, boxy: float = 0.0, turn: float = 0.0) -> Solid:
    """An ellipsoid, or with `boxy` up to 1 a rounded box; `down` is its radius below the centre when that differs.

    An `ENDLESS` radius along z makes a column. `turn` is in radians about z.
    """
    return bent_oval(centre, radii, down or radii[2], boxy, turn, 0.0)


def bent_oval(centre: Point, radii: Point, down: float, boxy: float, turn: float, bend: float) -> Solid:
    """An oval whose sections move to the front by `bend` mm per squared mm from the centre's height."""
    inverse = [1 / radii[0], 1 / radii[1], 1 / radii[2], 1 / down]
    scale = min(*radii, down)
    return Solid(
        row(carving.OVAL, *centre, *inverse, boxy, float(np.cos(turn)), float(np.sin(turn)), bend, scale)
    )


def tube(start: Point, end: Point, radius: float, tip: float | None = None) -> Solid:
    """A rod with round ends that tapers to the radius `tip`."""
    return Solid(row(carving.TUBE, *start, *end, radius, radius if tip is None else tip))


def slope(through: Point, normal: Point) -> Solid:
    """The half space behind a plane: the normal points out of it."""
    unit = np.array(normal) / np.linalg.norm(normal)
    x, y, z = unit.tolist()
    return Solid(row(carving.SHEET, -float(unit @ np.array(through)), x, y, z))


def bowl(top_z: float, tilt: float, centre: tuple[float, float], curve: tuple[float, float]) -> Solid:
    """The space above a dome that rises by `tilt` mm per mm to the front.

    `curve` is mm per squared mm along x and y off the centre, negative for one that falls off.
    """
    return Solid(row(carving.SHEET, top_z, 0, tilt, -1, curve[0], centre[0], curve[1], centre[1]))


def bowl_y(y: float, curve: float) -> Solid:
    """The space behind a hollow that rises to the front by `curve` mm per squared mm to both sides."""
    return Solid(row(carving.SHEET, -y, 0, 1, 0, -curve, 0, 0, 0))


def between(low: float, high: float) -> Solid:
    """Everything between two heights."""
    return Solid(row(carving.STOREY, low, high))


def comb(phase: float, period: float, side: float, front: float, half: float = 0.0) -> Solid:
    """Plates `period` apart along z that sink by `side` and `front` mm per mm away from the spine and to the front."""
    scale = 1 / float(np.sqrt(1 + side**2 + front**2))
    return Solid(row(carving.COMB, phase, period, side, front, half, scale))
