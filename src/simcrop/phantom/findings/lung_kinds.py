"""Draws the findings of the lungs and the pleura that are one body or a few: nodules, clouds, plates, fluid.

Lengths in mm of the patient's frame (x right, y front, z up), densities in HU.
"""

import numpy as np

from simcrop.phantom.findings.finding import Finding, FindingSide
from simcrop.phantom.findings.fluids import Fluid
from simcrop.phantom.findings.parts import Band, Blob
from simcrop.phantom.findings.places import SIDES, Case, along, direction, draw_place, draw_side

TEXTURES = {"solid": (20.0, 60.0), "calcified": (350.0, 650.0), "ground glass": (-560.0, -420.0)}
APART_MM = 4.0  # between two nodules


def nodule(case: Case) -> Finding:
    """One ball or a few of one lobe, the first the largest."""
    rng = case.rng
    if case.easy:
        count = int(rng.integers(2, 5))
        sizes, texture = sorted(rng.integers(26, 31, size=count).tolist(), reverse=True), "solid"
    else:
        largest = min(30, 4 + int(rng.exponential(6.0)))
        more = int(rng.choice(3, p=(0.7, 0.18, 0.12)))
        sizes = [largest, *(int(rng.integers(4, largest + 1)) for _ in range(more))]
        texture = str(rng.choice(list(TEXTURES), p=(0.75, 0.1, 0.15)))
    hu = case.uniform(*TEXTURES[texture])
    balls: list[Blob] = []
    for size in sizes:
        centre, radius = draw_place(case, margin_mm=size / 2 + 1), size / 2
        gaps = [np.linalg.norm(np.subtract(centre, ball.centre)) - ball.radii[0] for ball in balls]
        if all(gap > radius + APART_MM for gap in gaps):
            balls.append(Blob(hu, centre, (radius, radius, radius), 0.0, *case.region))
    return Finding("Lung nodule", *case.region, sizes[0], tuple(balls), place=texture, count=len(balls))


def consolidation(case: Case) -> Finding:
    return cloud("Consolidation", case, case.uniform(10, 45), 0.95)


def opacity(case: Case) -> Finding:
    return cloud("Lung opacity", case, case.uniform(*((-480, -400) if case.easy else (-690, -480))), 0.85)


def cloud(kind: str, case: Case, hu: float, strength: float) -> Finding:
    """An uneven cloud that stops at the borders of its lobe."""
    radius = case.uniform(28, 42) if case.easy else case.uniform(12, 36)
    centre = draw_place(case, margin_mm=10.0)
    x, y, z = (radius * case.uniform(0.75, 1.2) for _ in range(3))
    blob = Blob(hu, centre, (x, y, z), 0.3 * min(x, y, z), *case.region)
    return Finding(kind, *case.region, round(2 * max(x, y, z)), (blob,), strength)


def atelectasis(case: Case) -> Finding:
    """One to three plates of lung without air."""
    normal = direction(case.rng, (0.6, 0.6, 1.0))
    centre = draw_place(case, margin_mm=14.0)
    length = case.uniform(85, 125) if case.easy else case.uniform(35, 80)
    thickness = case.uniform(14, 20) if case.easy else case.uniform(3, 8)
    hu, count = case.uniform(0, 50), 1 if case.easy else int(case.rng.integers(1, 4))
    centres = [along(centre, normal, 2.2 * thickness * n) for n in range(count)]
    bands = (Band(hu, place, normal, length, thickness, *case.region) for place in centres)
    return Finding("Atelectasis", *case.region, None, tuple(bands), 0.95)


def pleural_effusion(case: Case) -> Finding:
    """Behind one lower lobe; in `real` often behind both. `size_mm` is the greatest depth."""
    side = draw_side(case.rng)
    both = not case.easy and case.rng.random() < 0.4
    pools, paint = [], []
    for where in SIDES if both else (side,):
        depth = case.uniform(12, 26) if case.easy else case.uniform(8, 45)
        height = case.uniform(80, 140) if case.easy else case.uniform(70, 190)
        pools.append(Fluid.behind(case.anatomy, where, depth, height))
        paint.append(pools[-1].painted(case.uniform(2, 16)))
    named: FindingSide = "both" if both else side
    deepest = round(max(pool.depth_mm for pool in pools))
    return Finding("Pleural effusion", named, "lower", deepest, (*pools, *paint), known_hu=(1, 17))
