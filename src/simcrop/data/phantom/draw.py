"""Draws the anatomy of one patient: natural sizes and positions around an average chest.

All lengths in mm of the patient's frame (x right, y front, z up). Randomness comes in as a generator.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from simcrop.data.phantom.anatomy import Anatomy, Heart, Lobe, Lung, Side
from simcrop.data.phantom.grid import Difficulty, Point, Points
from simcrop.data.phantom.shapes import Tube

CHEST_WALL_MM = 17.0


def draw_anatomy(
    rng: np.random.Generator,
    heart_scale: float = 1.0,
    heart_fluid_mm: float = 0.0,
    difficulty: Difficulty = "real",  # noqa: ARG001  (both draw alike so far)
) -> Anatomy:
    """A patient; the heart is `heart_scale` times as wide as it would be in health."""
    body = (float(rng.uniform(152, 172)), float(rng.uniform(104, 122)))
    fat = float(rng.uniform(7, 20))
    height = float(rng.normal(0, 6))
    right = draw_lung(rng, "right", body, fat, height)
    left = draw_lung(rng, "left", body, fat, height - float(rng.uniform(4, 14)))
    spine_y = right.centre[1] - 0.78 * right.half[1]
    aorta = draw_aorta(rng, spine_y)
    anatomy = Anatomy(
        body_half=body,
        fat_mm=fat,
        right=right,
        left=left,
        heart=draw_heart(rng, heart_scale, heart_fluid_mm, right),
        spine_y=spine_y,
        mediastinum_half=(float(rng.uniform(29, 36)), float(rng.uniform(0.78, 0.9)) * right.half[1]),
        aorta=aorta,
        vessels=great_vessels(aorta),
        airways=draw_airways(rng),
        branches=(),
        waves=draw_waves(rng),
        rib_phase=float(rng.uniform(0, 2 * np.pi)),
        lung_hu=float(rng.normal(-845, 12)),
        blood_hu=float(rng.uniform(140, 260)) if rng.random() < 0.35 else 42.0,
    )
    return replace(
        anatomy, branches=(*draw_branches(rng, anatomy, "right"), *draw_branches(rng, anatomy, "left"))
    )


def draw_lung(
    rng: np.random.Generator, side: Side, body: tuple[float, float], fat: float, height: float
) -> Lung:
    sign, share = (1.0, 1.0) if side == "right" else (-1.0, 0.95)
    centre_x = float(rng.uniform(54, 60))
    wall = fat + CHEST_WALL_MM
    return Lung(
        side=side,
        centre=(sign * centre_x, float(rng.normal(3, 2))),
        half=((body[0] - wall - centre_x) * share, body[1] - wall),
        widest_z=-35 + height,
        apex_z=float(rng.normal(118, 6)),
        rim_z=-128 + height,
        dome_mm=float(rng.uniform(52, 70)),
        fissure_z=float(rng.normal(-22, 5)),
        fissure_slope=float(rng.uniform(0.9, 1.1)),
        minor_fissure_z=float(rng.normal(-4, 5)),
    )


def draw_heart(rng: np.random.Generator, scale: float, fluid_mm: float, lung: Lung) -> Heart:
    width = float(rng.uniform(53, 59)) * scale
    radii = (width, 0.72 * width, float(rng.uniform(46, 52)) * (1 + (scale - 1) / 2))
    centre = (float(rng.uniform(-24, -17)) * scale, float(rng.normal(14, 3)), lung.widest_z - 17)
    front = lung.centre[1] + lung.half[1] - 8 - fluid_mm
    return Heart(centre, radii, turn=float(rng.uniform(0.4, 0.65)), front_y=front, fluid_mm=fluid_mm)


def draw_aorta(rng: np.random.Generator, spine_y: float) -> tuple[Tube, ...]:
    """Ascending part, arch in two pieces, descending part beside the spine on the left."""
    radius, top = float(rng.uniform(12.5, 16)), float(rng.normal(56, 5))
    back = (-27.0, spine_y + 14)
    path: list[Point] = [
        (6.0, 20.0, -25.0),
        (14.0, 18.0, top - 14),
        (-4.0, -6.0, top),
        (*back, top - 16),
        (*back, -190.0),
    ]
    radii = (radius, radius, radius * 0.95, radius * 0.85)
    return tuple(Tube(a, b, r) for (a, b), r in zip(pairwise(path), radii, strict=True))


def great_vessels(aorta: tuple[Tube, ...]) -> tuple[Tube, ...]:
    """Vena cava, pulmonary arteries and the three branches of the arch."""
    top = aorta[1].end[2]
    return (
        Tube((25.0, 8.0, top + 14), (25.0, 8.0, -20.0), 9.5),
        Tube((-14.0, 34.0, -12.0), (-18.0, 12.0, 16.0), 13.0),
        Tube((-18.0, 12.0, 16.0), (-46.0, -12.0, 14.0), 9.0),
        Tube((-12.0, 14.0, 12.0), (44.0, -6.0, 4.0), 9.0),
        Tube((8.0, 8.0, top), (22.0, 12.0, 190.0), 6.0),
        Tube((-6.0, -4.0, top), (-14.0, -2.0, 190.0), 4.5),
        Tube((-16.0, -22.0, top - 8), (-26.0, -14.0, 190.0), 5.0),
    )


def draw_airways(rng: np.random.Generator) -> tuple[Tube, ...]:
    """Trachea and the two main bronchi."""
    carina: Point = (2.0, -18.0, float(rng.normal(26, 4)))
    return (
        Tube((float(rng.normal(1, 2)), -14.0, 190.0), carina, float(rng.uniform(7.5, 9.5))),
        Tube(carina, (40.0, -30.0, carina[2] - 18), 6.0),
        Tube(carina, (-44.0, -30.0, carina[2] - 22), 5.5),
    )


def draw_waves(rng: np.random.Generator, count: int = 7) -> np.ndarray:
    """Wave numbers of lengths 24-70 mm in every direction, and phases."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    numbers = direction * (2 * np.pi / rng.uniform(24, 70, size=(count, 1)))
    return np.concatenate([numbers, rng.uniform(0, 2 * np.pi, size=(count, 2))], 1)


def draw_point(
    rng: np.random.Generator, anatomy: Anatomy, side: Side, lobe: Lobe | None, margin_mm: float = 0.0
) -> Point:
    """A point in a lung or lobe, at least `margin_mm` inside; the deepest of many when none is deep enough."""
    lung = anatomy.side(side)
    low = [lung.centre[0] - lung.half[0], lung.centre[1] - lung.half[1], lung.rim_z]
    high = [lung.centre[0] + lung.half[0], lung.centre[1] + lung.half[1], lung.apex_z]
    tries = rng.uniform(low, high, size=(400, 3))
    depth = -anatomy.lung(Points(*tries.T), side, lobe)
    deep = np.flatnonzero(depth > margin_mm)
    x, y, z = tries[deep[0] if len(deep) else int(depth.argmax())].tolist()
    return x, y, z


def draw_branches(rng: np.random.Generator, anatomy: Anatomy, side: Side, count: int = 16) -> list[Tube]:
    """Vessels from the root of a lung outwards, each splitting in two halfway."""
    sign = anatomy.side(side).sign
    root: Point = (sign * 40, -10.0, 2.0)
    branches = []
    for _ in range(count):
        end, radius = draw_point(rng, anatomy, side, None, 4.0), float(rng.uniform(2.0, 4.4))
        fork = between(root, end, 0.55)
        branches.append(Tube(root, fork, radius))
        for _ in range(2):
            x, y, z = (end + rng.normal(0, 14, 3)).tolist()
            branches.append(Tube(fork, (x, y, z), 0.6 * radius))
    return [branch for branch in branches if inside(anatomy, side, branch.end)]


def between(start: Point, end: Point, share: float) -> Point:
    """The point that has gone `share` of the way from start to end."""
    x, y, z = (np.array(start) + share * np.subtract(end, start)).tolist()
    return x, y, z


def inside(anatomy: Anatomy, side: Side, point: Point) -> bool:
    return float(anatomy.lung(Points(*np.array(point)[:, None]), side)[0]) < 0
