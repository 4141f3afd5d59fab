"""Fluid around lung and heart, and the heart itself, as bodies of findings.

Millimetres of the patient's frame (x right, y front, z up); distances are negative inside, arrays `(z, y, x)` or
broadcast to it.
"""

from dataclasses import dataclass, replace

import numpy as np

from simcrop.phantom.anatomy.body import FAT_AROUND_HEART_MM, Anatomy, Side
from simcrop.phantom.findings.parts import box_around, cut_to_lung, middle
from simcrop.phantom.grid import Point, Points

SPILL_MM = 2.0


@dataclass(frozen=True)
class Fluid:
    """Free fluid behind the lower lobe of a patient who lies on the back: deepest at the base, thinning upwards.

    `spill_mm`: how far paint reaches into the wall, so that no rim of half-filled lung is left between them.
    """

    hu: float | None
    depth_mm: float
    height_mm: float
    side: Side
    box: tuple[Point, Point]
    marks: bool = True
    spill_mm: float = 0.0

    @classmethod
    def behind(cls, anatomy: Anatomy, side: Side, depth_mm: float, height_mm: float) -> "Fluid":
        lung = anatomy.side(side)
        back, (x, half) = lung.centre[1] - lung.half[1], (lung.centre[0], lung.half[0])
        low = (x - half, back, lung.rim_z)
        high = (x + half, back + 1.45 * depth_mm, lung.rim_z + height_mm)
        return cls(None, depth_mm, height_mm, side, (low, high))

    @property
    def centre(self) -> Point:
        return middle(self.box)

    @property
    def thin(self) -> tuple[float, int]:
        return self.depth_mm, 1

    def painted(self, hu: float) -> "Fluid":
        """The same fluid as paint that marks nothing."""
        (low, high), mm = self.box, SPILL_MM
        wider = (low[0] - mm, low[1] - mm, low[2] - mm), (high[0] + mm, high[1], high[2])
        return replace(self, hu=hu, marks=False, spill_mm=mm, box=wider)

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        lung = anatomy.side(self.side)
        up = np.clip((points.z - lung.rim_z) / self.height_mm, 0, 1)
        # The meniscus climbs along the wall, which makes the crescent.
        outward = np.clip((points.x * lung.sign - 50) / 60, 0, 1) * (0.45 * self.depth_mm)
        back = lung.centre[1] - lung.half[1]
        level = points.y - back - (self.depth_mm + outward) * (1 - up)
        spill = np.float32(self.spill_mm)
        return cut_to_lung(level + spill, points, anatomy, self.side, "lower") - spill


@dataclass(frozen=True)
class HeartRim:
    """The shell of fluid that the heart lies in."""

    hu: float
    thickness_mm: float
    box: tuple[Point, Point]
    marks: bool = True

    @property
    def centre(self) -> Point:
        return middle(self.box)

    @property
    def thin(self) -> tuple[float, int]:
        return self.thickness_mm, 1

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        outside = anatomy.heart.distance(points) - FAT_AROUND_HEART_MM
        return np.maximum(outside - self.thickness_mm, -outside)


@dataclass(frozen=True)
class WholeHeart:
    """The heart itself, which the anatomy has painted."""

    box: tuple[Point, Point]
    hu: None = None
    marks: bool = True
    thin: tuple[float, int] = (80.0, 3)

    @property
    def centre(self) -> Point:
        return middle(self.box)

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        return anatomy.heart.distance(points)


@dataclass(frozen=True)
class Plaque:
    """Chalk in the fat on the surface of the heart, where the coronary arteries run."""

    hu: float
    centre: Point
    radius_mm: float
    marks: bool = True

    @property
    def thin(self) -> tuple[float, int]:
        return min(2 * self.radius_mm, FAT_AROUND_HEART_MM), 3

    @property
    def box(self) -> tuple[Point, Point]:
        return box_around(self.centre, (self.radius_mm, self.radius_mm, self.radius_mm))

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        x, y, z = (c - m for c, m in zip((points.x, points.y, points.z), self.centre, strict=True))
        ball = np.sqrt((x**2 + y**2) + z**2) - self.radius_mm
        off = anatomy.heart.distance(points)
        return np.maximum(ball, np.maximum(0.2 - off, off - (FAT_AROUND_HEART_MM - 0.2)))


def heart_box(anatomy: Anatomy, margin_mm: float) -> tuple[Point, Point]:
    """A box around the heart and what lies within `margin_mm` of it, whatever way it is turned."""
    heart = anatomy.heart
    share = 1 + margin_mm / min(heart.radii)  # a distance grows slower along the longer axes
    a, b, c = (share * radius for radius in heart.radii)
    cos, sin = np.cos(heart.turn), np.sin(heart.turn)
    x, y = float(np.hypot(a * cos, b * sin)), float(np.hypot(a * sin, b * cos))
    low, high = box_around(heart.centre, (x, y, c))
    return low, (high[0], min(high[1], heart.front_y + margin_mm), high[2])
