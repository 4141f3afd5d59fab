"""Draws the findings of heart, pericardium, arteries, gullet, lymph nodes and of what doctors have put in.

Lengths in mm of the patient's frame (x right, y front, z up), densities in HU.
"""

from itertools import pairwise

import numpy as np

from simcrop.phantom.anatomy.body import FAT_AROUND_HEART_MM, Anatomy
from simcrop.phantom.anatomy.shapes import Tube
from simcrop.phantom.findings.finding import Finding, FindingSide
from simcrop.phantom.findings.fluids import HeartRim, Plaque, WholeHeart, heart_box
from simcrop.phantom.findings.parts import Blob, Part, Pipe
from simcrop.phantom.findings.places import Case, draw_side
from simcrop.phantom.grid import Point

# Centre on the patient's right, and the side that the report names.
STATIONS: dict[str, tuple[Point, FindingSide | None]] = {
    "right paratracheal": ((19.0, -16.0, 48.0), "right"),
    "subcarinal": ((0.0, -30.0, 6.0), None),
    "prevascular": ((-12.0, 38.0, 48.0), None),
    "right hilar": ((42.0, -18.0, -4.0), "right"),
    "left hilar": ((-46.0, -26.0, 12.0), "left"),
}
PIECE_MM = 24.0
BLOOD_HU = (20, 320)  # and heart muscle, with contrast or without


def cardiomegaly(case: Case) -> Finding:
    return Finding(
        "Cardiomegaly", None, None, None, (WholeHeart(heart_box(case.anatomy, 0.0)),), known_hu=BLOOD_HU
    )


def pericardial_effusion(case: Case) -> Finding:
    depth = case.anatomy.heart.fluid_mm
    rim = HeartRim(case.uniform(4, 16), depth, heart_box(case.anatomy, FAT_AROUND_HEART_MM + depth))
    return Finding("Pericardial effusion", None, None, round(depth), (rim,))


def hernia(case: Case) -> Finding:
    """A part of the stomach with its gas above the diaphragm, behind the heart."""
    radius = case.uniform(15, 30)
    x, y, z = case.uniform(-18, 2), case.anatomy.spine_y + 22 + radius / 2, case.anatomy.left.rim_z + 44
    sac = Blob(30.0, (x, y, z), (radius, 0.8 * radius, radius), beside_heart=True)
    top = (x, y + 0.3 * radius, z + 0.1 * radius)
    gas = Blob(-950.0, top, (0.55 * radius, 0.3 * radius, 0.6 * radius), beside_heart=True)
    return Finding("Hiatal hernia", None, None, round(2 * radius), (sac, gas))


def lymphadenopathy(case: Case) -> Finding:
    """One node; `size_mm` is its short axis."""
    place = list(STATIONS)[int(case.rng.integers(len(STATIONS)))]
    (x, y, z), side = STATIONS[place]
    size = int(case.rng.integers(11, 25))
    centre = (x, y, z + case.uniform(-5, 5))
    radii = (size / 2, 0.55 * size, 0.7 * size)
    node = Blob(case.uniform(35, 60), centre, radii, beside_heart=True)
    return Finding("Lymphadenopathy", side, None, size, (node,), place=place)


def medical_material(case: Case) -> Finding:
    """A port under the skin of the front, with its line into the superior vena cava, on the patient's right."""
    side = draw_side(case.rng)
    sign = 1.0 if side == "right" else -1.0
    x, z = sign * case.uniform(64, 88), case.uniform(35, 70)
    half: Point = (21.0, 10.0, 21.0) if case.easy else (12.0, 6.0, 12.0)
    y = front_of_body(case.anatomy, x) - 0.5 * case.anatomy.fat_mm - 5
    top = case.anatomy.vessels[0].start[2]
    path: list[Point] = [(x, y, z), (sign * 44.0, 62.0, top + 26), (24.0, 8.0, top + 4), (24.0, 9.0, 30.0)]
    line: list[Part] = []
    for start, end in pairwise(path):
        line += [Pipe(1500.0, piece) for piece in pieces(start, end, 1.6)]
    return Finding("Medical material", side, None, None, (Blob(2400.0, path[0], half), *line))


def pieces(start: Point, end: Point, radius: float) -> list[Tube]:
    """A line as short tubes, so that their boxes are small."""
    count = int(np.ceil(np.linalg.norm(np.subtract(end, start)) / PIECE_MM))
    points = np.linspace(start, end, count + 1).tolist()
    return [Tube((a, b, c), (x, y, z), radius) for (a, b, c), (x, y, z) in pairwise(points)]


def front_of_body(anatomy: Anatomy, x: float) -> float:
    """y of the skin in front, at a given x."""
    half_x, half_y = anatomy.body_half
    return half_y * (1 - abs(x / half_x) ** 2.6) ** (1 / 2.6)


def aortic_calcification(case: Case) -> Finding:
    """Spots of chalk on the wall of the arch and the descending aorta."""
    spots = []
    for _ in range(int(case.rng.integers(4, 11))):
        tube = case.anatomy.aorta[int(case.rng.integers(1, len(case.anatomy.aorta)))]
        start, end = np.array(tube.start), np.maximum(tube.end, (-999, -999, -110))
        axis, out = end - start, case.rng.normal(size=3)
        out -= axis * (out @ axis) / (axis @ axis)
        x, y, z = (start + case.rng.random() * axis + tube.radius * out / np.linalg.norm(out)).tolist()
        a, b = case.uniform(1.5, 3.0), case.uniform(2.0, 6.0)
        spots.append(Blob(case.uniform(500, 1000), (x, y, z), (a, a, b)))
    return Finding("Arterial wall calcification", None, None, None, tuple(spots), place="aortic wall")


def coronary_calcification(case: Case) -> Finding:
    """Spots of chalk along the groove on the front of the heart."""
    heart, spots = case.anatomy.heart, []
    cos, sin = np.cos(heart.turn), np.sin(heart.turn)
    for _ in range(int(case.rng.integers(2, 7))):
        angle, height = case.rng.uniform(1.2, 2.6), case.rng.uniform(-0.1, 0.7)
        out = 1 + 0.5 * FAT_AROUND_HEART_MM / min(heart.radii)
        flat = np.sqrt(1 - height**2) * out
        u, v = flat * np.cos(angle) * heart.radii[0], flat * np.sin(angle) * heart.radii[1]
        x, y, z = heart.centre
        centre = (x + u * cos - v * sin, y + u * sin + v * cos, z + height * out * heart.radii[2])
        a, b, c = (float(value) for value in centre)
        b = min(b, heart.front_y + 0.5 * FAT_AROUND_HEART_MM)
        spots.append(Plaque(case.uniform(400, 900), (a, b, c), case.uniform(1.8, 3.2)))
    return Finding("Coronary artery wall calcification", None, None, None, tuple(spots))
