"""Airways and vessels of the lungs: bronchi down to the fifth division, arteries beside them, veins between.

All lengths in mm of the patient's frame (x right, y front, z up). Randomness comes in as a generator.
"""

from dataclasses import replace

import numpy as np

from simcrop.phantom.anatomy.body import LOBES, Airway, Anatomy, Lobe, Side
from simcrop.phantom.anatomy.shapes import Tube
from simcrop.phantom.anatomy.trees import Tree, grow
from simcrop.phantom.grid import Difficulty, Point, Points

# Ends of vessels per lung: more make lungs look real, fewer leave small lesions in sight on a coarse grid.
ENDS: dict[Difficulty, int] = {"real": 1100, "easy": 110}
LAST_GENERATION = 6
THINNEST_AIRWAY_MM = 0.85
LOBE_AIRWAY_MM, LOBE_ARTERY_MM, LOBE_VEIN_MM = 3.2, 4.6, 4.4
MARGIN_MM = 4.0  # vessels end this far from the pleura
# Where the bronchi of the lobes end, from the carina, and through which points they run.
BRONCHI: dict[tuple[Side, Lobe], tuple[int, Point]] = {
    ("right", "upper"): (1, (47.0, -4.0, -2.0)),
    ("right", "middle"): (2, (47.0, 12.0, -50.0)),
    ("right", "lower"): (2, (45.0, -16.0, -58.0)),
    ("left", "upper"): (3, (-54.0, 6.0, -18.0)),
    ("left", "lower"): (3, (-46.0, -18.0, -48.0)),
}


def draw_trees(rng: np.random.Generator, anatomy: Anatomy, difficulty: Difficulty) -> Anatomy:
    """The anatomy with its airways and the vessels of its lungs."""
    airways = draw_trunk(rng, anatomy.spine_y)
    carina = np.array(airways[0].tube.end)
    vessels = []
    for side, lobe in LOBES:
        inside = points_of_lobe(rng, anatomy, side, lobe, ENDS[difficulty])
        number, way = BRONCHI[side, lobe]
        trunk = airways[number].tube
        end = point(carina + way)
        airways.append(
            Airway(Tube(trunk.end, end, 0.8 * trunk.radius, LOBE_AIRWAY_MM), 1.1, 2, number, side, lobe)
        )
        halves = inside[::2], inside[1::2]
        if not len(halves[1]):
            continue
        tree = grow(end, halves[0])
        beside = (LOBE_AIRWAY_MM + LOBE_ARTERY_MM + 1) * toward_hilum(trunk.end, end)
        artery = anatomy.vessels[3 if side == "right" else 2].end
        vessels += [
            segment(artery, point(end + beside), 1.5 * LOBE_ARTERY_MM, LOBE_ARTERY_MM),
            tubes(tree, LOBE_ARTERY_MM, beside),
            *veins(anatomy, halves[1], carina, side, lobe),
        ]
        airways += bronchi(tree, len(airways), side, lobe)
    branches = np.concatenate([np.zeros((0, 9), np.float32), *vessels])
    branches[:, 8] = anatomy.blood_hu
    return replace(anatomy, airways=tuple(airways), branches=branches)


def draw_trunk(rng: np.random.Generator, spine_y: float) -> list[Airway]:
    """Trachea, right main bronchus, the piece below its first branch, left main bronchus."""
    carina: Point = (2.0, spine_y + 37, float(rng.normal(26, 3)))
    radius = float(rng.uniform(7.5, 9.5))
    x, y, z = carina
    right, between, left = (x + 24, y - 6, z - 14), (x + 35, y - 8, z - 40), (x - 41, y - 10, z - 26)
    return [
        Airway(Tube((1.0, spine_y + 41, 190.0), carina, radius), 1.8, 0, -1),
        Airway(Tube(carina, right, 0.8 * radius, 0.7 * radius), 1.6, 1, 0, "right"),
        Airway(Tube(right, between, 0.66 * radius, 0.56 * radius), 1.5, 1, 1, "right"),
        Airway(Tube(carina, left, 0.72 * radius, 0.6 * radius), 1.6, 1, 0, "left"),
    ]


def points_of_lobe(
    rng: np.random.Generator, anatomy: Anatomy, side: Side, lobe: Lobe, per_lung: int
) -> np.ndarray:
    """Random points in a lobe, evenly dense, so that a whole lung gets about `per_lung` for each kind of vessel."""
    lung = anatomy.side(side)
    low = [lung.centre[0] - lung.half[0], lung.centre[1] - lung.half[1], lung.rim_z]
    high = [lung.centre[0] + lung.half[0], lung.centre[1] + lung.half[1], lung.apex_z]
    points = rng.uniform(low, high, size=(4 * per_lung, 3))
    return points[anatomy.lung(Points(*points.T), side, lobe) < -MARGIN_MM]


def bronchi(tree: Tree, first: int, side: Side, lobe: Lobe) -> list[Airway]:
    """The airways among a tree's branches; `first` is the index of the next airway, right after its lobe's own."""
    radius = tree.radius(LOBE_AIRWAY_MM)
    kept = np.flatnonzero((radius > THINNEST_AIRWAY_MM) & (tree.generation <= LAST_GENERATION - 3))
    index = {int(n): first + i for i, n in enumerate(kept)} | {-1: first - 1}
    return [
        Airway(
            Tube(point(tree.start[n]), point(tree.end[n]), float(radius[n]), 0.85 * float(radius[n])),
            0.35 + 0.16 * float(radius[n]),
            3 + int(tree.generation[n]),
            index[int(tree.parent[n])],
            side,
            lobe,
        )
        for n in kept
    ]


def veins(
    anatomy: Anatomy, points: np.ndarray, carina: np.ndarray, side: Side, lobe: Lobe
) -> list[np.ndarray]:
    """Veins run between the airways, to the left atrium: those of the lower lobes join it below the others."""
    sign = anatomy.side(side).sign
    x, y = (44, -2) if lobe != "lower" else (38, -18)
    root = np.array(carina) + np.array([sign * x, y, -50.0])
    atrium = anatomy.heart.centre[0] + sign * 14, anatomy.heart.centre[1] - 22, float(root[2]) - 2
    return [
        segment(atrium, point(root), 1.4 * LOBE_VEIN_MM, LOBE_VEIN_MM),
        tubes(grow(point(root), points), LOBE_VEIN_MM, np.zeros(3)),
    ]


def tubes(tree: Tree, root_mm: float, beside: np.ndarray) -> np.ndarray:
    """A tree as rows of start, end, two radii and HU, moved aside in proportion to its width."""
    radius = tree.radius(root_mm)
    aside = (radius / root_mm)[:, None] * beside
    before = np.where(tree.parent[:, None] < 0, beside, aside[tree.parent])
    parent_mm = np.where(tree.parent < 0, root_mm, radius[tree.parent])
    thick = np.minimum(parent_mm, 1.25 * radius)
    return np.column_stack(
        [tree.start + before, tree.end + aside, thick, radius, np.zeros(len(radius))]
    ).astype(np.float32)


def segment(start: Point, end: Point, radius: float, tip: float) -> np.ndarray:
    return np.array([[*start, *end, radius, tip, 0]], np.float32)


def toward_hilum(start: Point, end: Point) -> np.ndarray:
    """Unit vector across a bronchus, to the front and up, where its artery runs."""
    along = np.subtract(end, start) / np.linalg.norm(np.subtract(end, start))
    across = np.array([0.0, 0.6, 0.8])
    across -= (across @ along) * along
    return across / np.linalg.norm(across)


def point(values: np.ndarray) -> Point:
    x, y, z = values.tolist()
    return x, y, z
