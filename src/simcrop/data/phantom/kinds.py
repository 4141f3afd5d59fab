"""Draws findings: how each kind looks and where it may lie. One function per kind, all of the same form.

Lengths in mm of the patient's frame (x right, y front, z up). Randomness comes in as a generator.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from simcrop.data.phantom.anatomy import Anatomy, Lobe, Side
from simcrop.data.phantom.draw import draw_point
from simcrop.data.phantom.findings import Finding
from simcrop.data.phantom.grid import Point
from simcrop.data.phantom.parts import Band, Blob, Fluid, HeartRim, WholeHeart, Wire
from simcrop.data.phantom.shapes import Tube

Region = tuple[Side, Lobe]
Draw = Callable[[np.random.Generator, Anatomy, Region, int], Finding]


def nodule(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:
    size = int(rng.integers(8, 31))
    centre = draw_point(rng, anatomy, *region, margin_mm=size / 2 + 1)
    ball = Blob(
        float(rng.uniform(20, 70)), centre, (size / 2, size / 2, size / 2), side=region[0], lobe=region[1]
    )
    return Finding("Lung nodule", *region, size, value, (ball,))


def consolidation(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:
    return patch("Consolidation", rng, anatomy, region, value, float(rng.uniform(10, 45)), 0.95)


def opacity(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:
    return patch("Lung opacity", rng, anatomy, region, value, float(rng.uniform(-560, -440)), 0.85)


def patch(
    kind: str,
    rng: np.random.Generator,
    anatomy: Anatomy,
    region: Region,
    value: int,
    hu: float,
    strength: float,
) -> Finding:
    """An uneven cloud that stops at the borders of its lobe."""
    radius = float(rng.uniform(20, 36))
    centre = draw_point(rng, anatomy, *region, margin_mm=10.0)
    x, y, z = (float(r) for r in radius * rng.uniform(0.75, 1.2, 3))
    blob = Blob(hu, centre, (x, y, z), 0.3 * radius, *region)
    return Finding(kind, *region, round(2 * radius), value, (blob,), strength)


def atelectasis(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:
    centre = draw_point(rng, anatomy, *region, margin_mm=14.0)
    normal = rng.normal(size=3) * (0.6, 0.6, 1.0)
    x, y, z = (normal / np.linalg.norm(normal)).tolist()
    length, thickness = float(rng.uniform(55, 100)), float(rng.uniform(9, 15))
    band = Band(float(rng.uniform(0, 50)), centre, (x, y, z), length, thickness, *region)
    return Finding("Atelectasis", *region, None, value, (band,), 0.95)


def pleural_effusion(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:
    depth, lung = float(rng.uniform(20, 48)), anatomy.side(region[0])
    centre = (lung.centre[0], lung.centre[1] - 0.8 * lung.half[1], lung.rim_z + 35)
    fluid = Fluid(float(rng.uniform(2, 16)), depth, float(rng.uniform(130, 210)), region[0], centre)
    return Finding("Pleural effusion", region[0], None, round(depth), value, (fluid,))


def emphysema(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    """Holes in the upper lobes of both lungs."""
    sides: tuple[Side, Side] = ("left", "right")
    holes = [hole(rng, anatomy, side) for side in sides for _ in range(int(rng.integers(16, 28)))]
    return Finding("Emphysema", "both", "upper", None, value, tuple(holes))


def hole(rng: np.random.Generator, anatomy: Anatomy, side: Side) -> Blob:
    radius = float(rng.uniform(5, 14))
    return Blob(
        -985.0, draw_point(rng, anatomy, side, "upper", 3.0), (radius, radius, radius), 0.0, side, "upper"
    )


def cardiomegaly(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    return Finding("Cardiomegaly", None, None, None, value, (WholeHeart(anatomy.heart.centre),))


def pericardial_effusion(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    heart = anatomy.heart
    rim = HeartRim(float(rng.uniform(4, 16)), heart.centre, heart.fluid_mm)
    return Finding("Pericardial effusion", None, None, round(heart.fluid_mm), value, (rim,))


def hernia(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    """A part of the stomach with its gas above the diaphragm, behind the heart."""
    radius = float(rng.uniform(20, 30))
    x, y, z = -8.0, anatomy.spine_y + 24 + radius / 2, anatomy.left.rim_z + 44
    sac = Blob(30.0, (x, y, z), (radius, 0.8 * radius, radius))
    gas = Blob(-950.0, (x, y + 0.4 * radius, z + 0.1 * radius), (0.6 * radius, 0.3 * radius, 0.6 * radius))
    return Finding("Hiatal hernia", None, None, round(2 * radius), value, (sac, gas))


def lymphadenopathy(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    stations: tuple[tuple[str, Point], ...] = (
        ("right paratracheal", (20.0, -8.0, 50.0)),
        ("subcarinal", (0.0, -28.0, 4.0)),
        ("prevascular", (-12.0, 36.0, 46.0)),
    )
    place, centre = stations[int(rng.integers(len(stations)))]
    size = int(rng.integers(16, 29))
    node = Blob(float(rng.uniform(35, 60)), centre, (size / 2, 0.45 * size, 0.6 * size))
    return Finding("Lymphadenopathy", None, None, size, value, (node,), place=place)


def medical_material(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    """A port under the skin of the right front, with its line into the superior vena cava."""
    x, z = float(rng.uniform(66, 84)), float(rng.uniform(40, 66))
    y = front_of_body(anatomy, x) - 0.6 * anatomy.fat_mm - 4
    top = anatomy.vessels[0].start[2]
    path: list[Point] = [(x, y, z), (44.0, 62.0, top + 30), (25.0, 8.0, top + 8), (24.0, 10.0, 0.0)]
    line = [Wire(1500.0, Tube(a, b, 2.5)) for a, b in pairwise(path)]
    return Finding(
        "Medical material", "right", None, None, value, (Blob(2400.0, path[0], (13.0, 7.0, 13.0)), *line)
    )


def front_of_body(anatomy: Anatomy, x: float) -> float:
    """y of the skin in front, at a given x."""
    half_x, half_y = anatomy.body_half
    return half_y * (1 - (x / half_x) ** 2.6) ** (1 / 2.6)


def aortic_calcification(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    """Spots of chalk on the wall of the arch and the descending aorta."""
    spots = []
    for _ in range(int(rng.integers(6, 11))):
        tube = anatomy.aorta[int(rng.integers(1, 4))]
        start, end = np.array(tube.start), np.maximum(tube.end, (-999, -999, -130))
        out = rng.normal(size=3) * (1, 1, 0.2)
        x, y, z = (start + rng.random() * (end - start) + tube.radius * out / np.linalg.norm(out)).tolist()
        spots.append(Blob(float(rng.uniform(600, 1100)), (x, y, z), (3.5, 3.5, 4.5)))
    return Finding("Arterial wall calcification", None, None, None, value, tuple(spots), place="aortic wall")


def coronary_calcification(rng: np.random.Generator, anatomy: Anatomy, region: Region, value: int) -> Finding:  # noqa: ARG001
    """Spots of chalk along the groove on the front of the heart."""
    heart, spots = anatomy.heart, []
    for _ in range(int(rng.integers(4, 8))):
        angle, height = rng.uniform(1.2, 2.6), rng.uniform(-0.1, 0.7)
        across, up = (
            np.sqrt(1 - height**2) * np.array([np.cos(angle), np.sin(angle)]),
            height * heart.radii[2],
        )
        u, v = across * heart.radii[:2]
        cos, sin = np.cos(heart.turn), np.sin(heart.turn)
        x, y, z = (
            heart.centre[0] + u * cos - v * sin,
            heart.centre[1] + u * sin + v * cos,
            heart.centre[2] + up,
        )
        spots.append(Blob(float(rng.uniform(500, 900)), (float(x), float(y), float(z)), (3.0, 3.0, 4.0)))
    return Finding("Coronary artery wall calcification", None, None, None, value, tuple(spots))


# In the order of painting: what is large and opaque comes first, so that it cannot hide the rest.
DRAWS: dict[str, Draw] = {
    "Cardiomegaly": cardiomegaly,
    "Pericardial effusion": pericardial_effusion,
    "Emphysema": emphysema,
    "Lung opacity": opacity,
    "Pleural effusion": pleural_effusion,
    "Consolidation": consolidation,
    "Atelectasis": atelectasis,
    "Hiatal hernia": hernia,
    "Lymphadenopathy": lymphadenopathy,
    "Lung nodule": nodule,
    "Arterial wall calcification": aortic_calcification,
    "Coronary artery wall calcification": coronary_calcification,
    "Medical material": medical_material,
}


def draw_finding(
    rng: np.random.Generator, anatomy: Anatomy, kind: str, region: Region, value: int
) -> Finding:
    return DRAWS[kind](rng, anatomy, region, value)


def in_painting_order(kinds: Iterable[str]) -> list[str]:
    return [kind for kind in DRAWS if kind in set(kinds)]
