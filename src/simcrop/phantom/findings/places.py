"""Cases and places: for whom a finding is drawn, and where it may lie.

Millimetres of the patient's frame (x right, y front, z up). Randomness comes in as a generator.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.anatomy.body import LOBES, Anatomy, Lobe, Side
from simcrop.phantom.grid import Difficulty, Point, Points

Region = tuple[Side, Lobe]
TRIES = 400
SIDES: tuple[Side, Side] = ("left", "right")


@dataclass(frozen=True)
class Case:
    """What a finding is drawn for: a patient, a lobe that it may lie in, and how plain it shall be."""

    rng: np.random.Generator
    anatomy: Anatomy
    region: Region
    difficulty: Difficulty

    @property
    def easy(self) -> bool:
        return self.difficulty == "easy"

    def uniform(self, low: float | int, high: float | int) -> float:
        return float(self.rng.uniform(low, high))


def draw_region(rng: np.random.Generator) -> Region:
    return LOBES[int(rng.integers(len(LOBES)))]


def draw_side(rng: np.random.Generator) -> Side:
    return SIDES[int(rng.integers(2))]


def draw_place(case: Case, margin_mm: float) -> Point:
    """A point of the lobe, at least `margin_mm` inside; the deepest of many when none is deep enough."""
    lung = case.anatomy.side(case.region[0])
    low = [lung.centre[0] - lung.half[0], lung.centre[1] - lung.half[1], lung.rim_z]
    high = [lung.centre[0] + lung.half[0], lung.centre[1] + lung.half[1], lung.apex_z]
    tries = case.rng.uniform(low, high, size=(TRIES, 3)).astype(np.float32)
    depth = -case.anatomy.lung(Points(*tries.T), *case.region)
    deep = np.flatnonzero(depth > margin_mm)
    x, y, z = tries[deep[0] if len(deep) else int(depth.argmax())].tolist()
    return x, y, z


def direction(rng: np.random.Generator, weights: Point = (1.0, 1.0, 1.0)) -> Point:
    """A random unit vector, more along the axes of larger weight."""
    normal = rng.normal(size=3) * weights
    x, y, z = (normal / np.linalg.norm(normal)).tolist()
    return x, y, z


def along(start: Point, towards: Point, length_mm: float) -> Point:
    """The point `length_mm` from start along a direction."""
    x, y, z = (a + length_mm * b for a, b in zip(start, towards, strict=True))
    return x, y, z
