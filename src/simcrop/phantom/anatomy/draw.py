"""Draws the anatomy of one patient: natural sizes and positions around an average chest.

All lengths in mm of the patient's frame (x right, y front, z up). Randomness comes in as a generator.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from simcrop.phantom.anatomy.body import Anatomy, Heart, Lung, Side
from simcrop.phantom.anatomy.branches import draw_trees
from simcrop.phantom.anatomy.shapes import Tube
from simcrop.phantom.grid import Difficulty, Point, Pose

CHEST_WALL_MM = 19.0
EASY_SHARE = 0.25  # of the natural variation is left between easy patients
CONTRAST_SHARE = 0.45
TILE_POINTS = 64.0


@dataclass(frozen=True)
class Nature:
    """Where patients differ, and how much."""

    rng: np.random.Generator
    difficulty: Difficulty

    @property
    def share(self) -> float:
        return 1.0 if self.difficulty == "real" else EASY_SHARE

    def normal(self, mean: float, deviation: float) -> float:
        """A value around the mean, at most 2.2 deviations away."""
        return mean + self.share * deviation * float(np.clip(self.rng.normal(), -2.2, 2.2))

    def uniform(self, low: float, high: float) -> float:
        middle = (low + high) / 2
        return middle + self.share * float(self.rng.uniform(low - middle, high - middle))

    def happens(self, share: float) -> bool:
        """By chance in real patients, never in easy ones."""
        return bool(self.rng.random() < share) and self.difficulty == "real"


def draw_anatomy(
    rng: np.random.Generator,
    heart_scale: float = 1.0,
    heart_fluid_mm: float = 0.0,
    difficulty: Difficulty = "real",
) -> Anatomy:
    """A patient; the heart is `heart_scale` times as wide as it would be in health."""
    nature = Nature(rng, difficulty)
    body = (nature.uniform(148.0, 174.0), nature.uniform(102.0, 124.0))
    fat, height = nature.uniform(5.0, 20.0), nature.normal(0.0, 8.0)
    right = draw_lung(nature, "right", body, fat, height)
    left = draw_lung(nature, "left", body, fat, height - nature.uniform(4.0, 14.0))
    spine_y = right.centre[1] - nature.normal(0.63, 0.02) * right.half[1]
    aorta = draw_aorta(nature, spine_y)
    contrast = nature.happens(CONTRAST_SHARE)
    bare = Anatomy(
        body_half=body,
        fat_mm=fat,
        breast_mm=nature.uniform(10.0, 34.0) if nature.happens(0.45) else 0.0,
        right=right,
        left=left,
        heart=draw_heart(nature, heart_scale, heart_fluid_mm, right),
        spine_y=spine_y,
        spine_bend=nature.uniform(0.0, 0.0008),
        mediastinum_half=(nature.uniform(27.0, 34.0), nature.uniform(0.78, 0.9) * right.half[1]),
        aorta=aorta,
        vessels=great_vessels(aorta),
        airways=(),
        branches=np.zeros((0, 9), np.float32),
        texture_at=np.repeat(rng.uniform(0, TILE_POINTS, 2), 3).astype(np.float32),
        rib_phase=nature.uniform(0.0, 27.0),
        lung_hu=float(-862.0 + 22.0 * np.clip(rng.normal(), -2.2, 2.2)),
        blood_hu=float(rng.uniform(130, 280)) if contrast else nature.normal(42.0, 3.0),
        organ_hu=float(rng.uniform(30, 60)) if contrast else 0.0,
        organ_scale=nature.normal(1.0, 0.06),
    )
    return draw_trees(rng, bare, difficulty)


def draw_pose(rng: np.random.Generator, difficulty: Difficulty = "real") -> Pose:
    """How the patient lies: a few degrees and mm off the middle; easy ones hardly."""
    nature = Nature(rng, difficulty)
    shift = (nature.normal(0.0, 4.0), nature.normal(0.0, 5.0), float(rng.uniform(-1200, -100)))
    return Pose(float(np.deg2rad(nature.normal(0.0, 2.5))), shift)


def draw_lung(nature: Nature, side: Side, body: tuple[float, float], fat: float, height: float) -> Lung:
    sign, share = (1.0, 1.0) if side == "right" else (-1.0, 0.95)
    centre_x, wall = nature.uniform(53.0, 60.0), fat + CHEST_WALL_MM
    return Lung(
        side=side,
        centre=(sign * centre_x, nature.normal(3.0, 2.0)),
        half=((body[0] - wall - centre_x) * share, body[1] - wall),
        widest_z=-35 + height,
        apex_z=nature.normal(118.0, 7.0),
        rim_z=-128 + height,
        dome_mm=nature.uniform(36.0, 58.0),
        tilt=nature.uniform(0.15, 0.3),
        fissure_z=nature.normal(-22.0, 5.0),
        fissure_slope=nature.uniform(0.9, 1.1),
        minor_fissure_z=nature.normal(-4.0, 5.0),
    )


def draw_heart(nature: Nature, scale: float, fluid_mm: float, lung: Lung) -> Heart:
    width = nature.uniform(52.0, 60.0) * scale
    radii = (width, 0.72 * width, nature.uniform(45.0, 53.0) * (1 + (scale - 1) / 2))
    centre = (nature.uniform(-25.0, -16.0) * scale, nature.normal(14.0, 3.0), lung.widest_z - 17)
    front = lung.centre[1] + lung.half[1] - 8 - fluid_mm
    return Heart(centre, radii, turn=nature.uniform(0.4, 0.65), front_y=front, fluid_mm=fluid_mm)


def draw_aorta(nature: Nature, spine_y: float) -> tuple[Tube, ...]:
    """Ascending part, arch in two pieces, descending part left of the spine."""
    radius, top = nature.uniform(12.5, 16.0), nature.normal(56.0, 5.0)
    back = (nature.normal(-27.0, 2.0), spine_y + 14)
    path: list[Point] = [
        (6.0, 20.0, -25.0),
        (14.0, 18.0, top - 14),
        (-4.0, -6.0, top),
        (*back, top - 16),
        (*back, -105.0),
    ]
    radii = (radius, radius, radius * 0.95, radius * 0.85)
    return tuple(Tube(a, b, r) for (a, b), r in zip(pairwise(path), radii, strict=True))


def great_vessels(aorta: tuple[Tube, ...]) -> tuple[Tube, ...]:
    """Vena cava, pulmonary arteries, the three branches of the arch, and the veins of the arms."""
    top = aorta[1].end[2]
    return (
        Tube((25.0, 8.0, top + 14), (25.0, 8.0, -20.0), 9.5),
        Tube((-14.0, 34.0, -12.0), (-18.0, 12.0, 16.0), 13.0),
        Tube((-18.0, 12.0, 16.0), (-46.0, -12.0, 14.0), 10.0, 8.0),
        Tube((-12.0, 14.0, 12.0), (44.0, -6.0, 4.0), 10.0, 8.0),
        Tube((8.0, 8.0, top), (22.0, 12.0, 190.0), 6.0),
        Tube((-6.0, -4.0, top), (-14.0, -2.0, 190.0), 4.0),
        Tube((-16.0, -22.0, top - 8), (-26.0, -14.0, 190.0), 5.0),
        Tube((25.0, 8.0, top + 14), (34.0, 16.0, 190.0), 7.0),
        Tube((24.0, 9.0, top + 14), (-24.0, 24.0, top + 30), 6.5),
        Tube((-24.0, 24.0, top + 30), (-34.0, 14.0, 190.0), 6.5),
    )
