"""The bodies that findings are made of, each a distance in the patient's frame, negative inside.

Everything is mm of the patient's frame (x right, y front, z up); arrays are `(z, y, x)` or broadcast to it.
`centre` and `reach_mm` bound a body, so that only the voxels near it are visited. `hu` is what it is painted
with, None where the anatomy has painted it already.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.phantom.anatomy import FAT_AROUND_HEART_MM, Anatomy, Lobe, Side
from simcrop.data.phantom.grid import Point, Points
from simcrop.data.phantom.shapes import Tube, ellipsoid


@dataclass(frozen=True)
class Blob:
    """An ellipsoid with an uneven surface, cut to a lung or lobe when `side` says so."""

    hu: float
    centre: Point
    radii: Point
    uneven_mm: float = 0.0
    side: Side | None = None
    lobe: Lobe | None = None

    @property
    def reach_mm(self) -> float:
        return max(self.radii) + 1.5 * self.uneven_mm

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        distance = ellipsoid(points, self.centre, self.radii)
        if self.uneven_mm:
            distance = distance + self.uneven_mm * anatomy.texture(points)
        if self.side:
            distance = np.maximum(distance, anatomy.lung(points, self.side, self.lobe))
        return distance


@dataclass(frozen=True)
class Band:
    """A flat plate inside one lobe: lung that has lost its air along a line."""

    hu: float
    centre: Point
    normal: Point
    length_mm: float
    thickness_mm: float
    side: Side
    lobe: Lobe

    @property
    def reach_mm(self) -> float:
        return self.length_mm / 2

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        x, y, z = (c - m for c, m in zip((points.x, points.y, points.z), self.centre, strict=True))
        off = np.abs(x * self.normal[0] + y * self.normal[1] + z * self.normal[2]) - self.thickness_mm / 2
        around = np.sqrt(x**2 + y**2 + z**2) - self.length_mm / 2
        return np.maximum(np.maximum(off, around), anatomy.lung(points, self.side, self.lobe))


@dataclass(frozen=True)
class Fluid:
    """Free fluid behind the lung of a patient who lies on the back: deepest at the base, thinning upwards."""

    hu: float
    depth_mm: float
    height_mm: float
    side: Side
    centre: Point

    @property
    def reach_mm(self) -> float:
        return 260.0

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        lung = anatomy.side(self.side)
        up = np.clip((points.z - lung.rim_z) / self.height_mm, 0, 1)
        # The meniscus climbs along the wall, which makes the crescent.
        outward = np.clip((points.x * lung.sign - 50) / 60, 0, 1) * 0.45 * self.depth_mm
        back = lung.centre[1] - lung.half[1]
        level = points.y - back - (self.depth_mm + outward) * (1 - up)
        return np.maximum(level, anatomy.lung(points, self.side))


@dataclass(frozen=True)
class HeartRim:
    """The shell of fluid that the heart lies in."""

    hu: float
    centre: Point
    thickness_mm: float

    @property
    def reach_mm(self) -> float:
        return 150.0

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        outside = anatomy.heart.distance(points) - FAT_AROUND_HEART_MM
        return np.maximum(outside - self.thickness_mm, -outside)


@dataclass(frozen=True)
class WholeHeart:
    """The heart itself, which the anatomy has painted."""

    centre: Point
    hu: None = None

    @property
    def reach_mm(self) -> float:
        return 150.0

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        return anatomy.heart.distance(points)


@dataclass(frozen=True)
class Wire:
    """A piece of a tube of metal or plastic."""

    hu: float
    tube: Tube

    @property
    def centre(self) -> Point:
        x, y, z = (0.5 * (a + b) for a, b in zip(self.tube.start, self.tube.end, strict=True))
        return x, y, z

    @property
    def reach_mm(self) -> float:
        return self.tube.radius + float(np.linalg.norm(np.subtract(self.tube.end, self.tube.start))) / 2

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:  # noqa: ARG002  (a Part)
        return self.tube.distance(points)


Part = Blob | Band | Fluid | HeartRim | WholeHeart | Wire
