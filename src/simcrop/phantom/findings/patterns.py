"""Irregular patterns inside a region of the lung: patches with another density, and a net of thin walls.

Millimetres of the patient's frame (x right, y front, z up); distances are negative inside, arrays `(z, y, x)` or
broadcast to it.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.findings.parts import Blob
from simcrop.phantom.grid import Point, Points

COUNT = 6


@dataclass(frozen=True)
class Waves:
    """A smooth random field of mean 0 and variance 1; `waves` are its wave numbers in rad/mm and two phases each."""

    length_mm: float
    waves: tuple[tuple[float, float, float, float, float], ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, length_mm: float) -> "Waves":
        """Waves of about one length in every direction, each with a share of up and of across."""
        rows = []
        for turn in rng.uniform(0, 2 * np.pi) + np.arange(COUNT) * np.pi / COUNT:
            lean, number = rng.uniform(0.6, 0.97), 2 * np.pi / length_mm * rng.uniform(0.75, 1.3)
            up = (1 - lean**2) ** 0.5 * number
            rows.append((lean * number * np.cos(turn), lean * number * np.sin(turn), up))
        phases = rng.uniform(0, 2 * np.pi, (COUNT, 2)).tolist()
        waves = ((float(x), float(y), float(z), a, b) for (x, y, z), (a, b) in zip(rows, phases, strict=True))
        return cls(length_mm, tuple(waves))

    def field(self, points: Points) -> np.ndarray:
        total = np.zeros((), np.float32)
        for x, y, z, flat, up in self.waves:
            total = total + np.sin(x * points.x + y * points.y + flat) * np.sin(z * points.z + up)
        return total * np.float32(2 / COUNT**0.5)

    def mm(self, field: np.ndarray) -> np.ndarray:
        """A difference of the field as a distance, by its mean slope."""
        return field * np.float32(self.length_mm / (2 * np.pi))


@dataclass(frozen=True)
class Patches:
    """Where the field is above `level`, inside `region`."""

    hu: float
    region: Blob
    waves: Waves
    level: float
    marks: bool = True

    @property
    def centre(self) -> Point:
        return self.region.centre

    @property
    def thin(self) -> tuple[float, int]:
        return self.waves.length_mm / 3, 3

    @property
    def box(self) -> tuple[Point, Point]:
        return self.region.box

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        patch = self.waves.mm(np.float32(self.level) - self.waves.field(points))
        return self.region.around(patch, points, anatomy)


@dataclass(frozen=True)
class Net:
    """Walls of `thickness_mm` where one of two fields crosses zero, inside `region`: thickened septa."""

    hu: float
    region: Blob
    waves: tuple[Waves, Waves]
    thickness_mm: float
    marks: bool = False

    @property
    def centre(self) -> Point:
        return self.region.centre

    @property
    def thin(self) -> tuple[float, int]:
        return self.thickness_mm, 1

    @property
    def box(self) -> tuple[Point, Point]:
        return self.region.box

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        walls = [np.abs(waves.mm(waves.field(points))) for waves in self.waves]
        net = np.minimum(*walls) - np.float32(self.thickness_mm / 2)
        return self.region.around(net, points, anatomy)
