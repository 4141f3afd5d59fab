"""Bodies that findings are made of: ovals, plates and pieces of wire, and what every body must offer.

Millimetres of the patient's frame (x right, y front, z up); distances are negative inside, arrays `(z, y, x)` or
broadcast to it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from simcrop.phantom.anatomy.body import FAT_AROUND_HEART_MM, Anatomy, Lobe, Side
from simcrop.phantom.anatomy.shapes import Tube, ellipsoid
from simcrop.phantom.grid import Point, Points

NEAR_MM = 6.0  # no voxel is blurred over more, and farther out only the sign of a distance matters


@runtime_checkable
class Part(Protocol):
    """One body. `hu`: what it is painted with, None where the anatomy has painted it already."""

    @property
    def hu(self) -> float | None: ...
    @property
    def marks(self) -> bool:
        """Whether its voxels belong to the truth mask of the finding."""
        ...

    @property
    def centre(self) -> Point:
        """Where it is to be marked when no voxel is half filled by it."""
        ...

    @property
    def thin(self) -> tuple[float, int]:
        """Smallest extent in mm, and along how many axes it is that small: 1 a sheet, 2 a line, 3 a ball."""
        ...

    @property
    def box(self) -> tuple[Point, Point]:
        """Lowest and highest corner of a box around it."""
        ...

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray: ...


def box_around(centre: Point, half: Point) -> tuple[Point, Point]:
    (x, y, z), (a, b, c) = centre, half
    return (x - a, y - b, z - c), (x + a, y + b, z + c)


def cut_to_lung(
    distance: np.ndarray, points: Points, anatomy: Anatomy, side: Side, lobe: Lobe | None
) -> np.ndarray:
    """The part of a body inside a lung or lobe, whose own distance is measured only where the body is near."""
    near = distance < NEAR_MM
    x, y, z = (np.broadcast_to(c, near.shape)[near] for c in (points.x, points.y, points.z))
    if len(x):
        distance[near] = np.maximum(distance[near], anatomy.lung(Points(x, y, z), side, lobe))
    return distance


def middle(box: tuple[Point, Point]) -> Point:
    x, y, z = (0.5 * (low + high) for low, high in zip(*box, strict=True))
    return x, y, z


@dataclass(frozen=True)
class Blob:
    """An oval with an uneven surface, cut to a lung or lobe when `side` says so, and kept out of the heart."""

    hu: float | None
    centre: Point
    radii: Point
    uneven_mm: float = 0.0
    side: Side | None = None
    lobe: Lobe | None = None
    beside_heart: bool = False
    marks: bool = True

    @property
    def thin(self) -> tuple[float, int]:
        return 2 * min(self.radii), 3

    @property
    def box(self) -> tuple[Point, Point]:
        reach = 1.5 * self.uneven_mm * max(self.radii) / min(self.radii)
        x, y, z = (radius + reach for radius in self.radii)
        return box_around(self.centre, (x, y, z))

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        distance = ellipsoid(points, self.centre, self.radii)
        if self.uneven_mm:
            distance = distance + np.float32(self.uneven_mm) * anatomy.texture(points)
        return self.cut(distance, points, anatomy)

    def around(self, content: np.ndarray, points: Points, anatomy: Anatomy) -> np.ndarray:
        """The part of another body that lies within this one."""
        return self.cut(np.maximum(content, ellipsoid(points, self.centre, self.radii)), points, anatomy)

    def cut(self, distance: np.ndarray, points: Points, anatomy: Anatomy) -> np.ndarray:
        if self.side:
            distance = cut_to_lung(distance, points, anatomy, self.side, self.lobe)
        if self.beside_heart:
            sac = FAT_AROUND_HEART_MM + anatomy.heart.fluid_mm
            distance = np.maximum(distance, sac + 1 - anatomy.heart.distance(points))
        return distance


@dataclass(frozen=True)
class Band:
    """A round plate inside one lobe: lung that has lost its air along a plane, or a scar."""

    hu: float
    centre: Point
    normal: Point
    length_mm: float
    thickness_mm: float
    side: Side
    lobe: Lobe
    marks: bool = True

    @property
    def thin(self) -> tuple[float, int]:
        return self.thickness_mm, 1

    @property
    def box(self) -> tuple[Point, Point]:
        """A disc reaches as far along an axis as its normal leans away from it."""
        x, y, z = (
            self.length_mm / 2 * (1 - n * n) ** 0.5 + self.thickness_mm / 2 * abs(n) for n in self.normal
        )
        return box_around(self.centre, (x, y, z))

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        x, y, z = (c - m for c, m in zip((points.x, points.y, points.z), self.centre, strict=True))
        off = np.abs((x * self.normal[0] + y * self.normal[1]) + z * self.normal[2]) - self.thickness_mm / 2
        around = np.sqrt((x**2 + y**2) + z**2) - self.length_mm / 2
        return np.maximum(np.maximum(off, around), anatomy.lung(points, self.side, self.lobe))


@dataclass(frozen=True)
class Pipe:
    """A piece of a tube: wire, catheter, the wall of a bronchus or its lumen. Cut to `within` when given."""

    hu: float
    tube: Tube
    within: Blob | None = None
    marks: bool = True

    @property
    def centre(self) -> Point:
        return middle(self.box)

    @property
    def thin(self) -> tuple[float, int]:
        return 2 * self.tube.radius, 2

    @property
    def box(self) -> tuple[Point, Point]:
        ends = np.array([self.tube.start, self.tube.end])
        (a, b, c), (x, y, z) = (
            (ends.min(0) - self.tube.radius).tolist(),
            (ends.max(0) + self.tube.radius).tolist(),
        )
        return (a, b, c), (x, y, z)

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        distance = self.tube.distance(points)
        return distance if self.within is None else self.within.around(distance, points, anatomy)
