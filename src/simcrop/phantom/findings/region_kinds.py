"""Draws the findings that are seen throughout an area of a lobe: emphysema, mosaic, scars, septa, bronchi.

Lengths in mm of the patient's frame (x right, y front, z up), densities in HU. Where single bodies are thinner than a
voxel, the truth marks the area in which they are seen.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from simcrop.phantom.anatomy.body import LOBES, Airway, Side
from simcrop.phantom.anatomy.shapes import Tube
from simcrop.phantom.findings.finding import Finding, FindingSide
from simcrop.phantom.findings.parts import Band, Blob, Part, Pipe
from simcrop.phantom.findings.patterns import Net, Patches, Waves
from simcrop.phantom.findings.places import SIDES, Case, along, direction, draw_place
from simcrop.phantom.grid import Point, Points

BOTH_SHARE = 0.35
LUNG_HU = (-1000, 320)  # from air to a vessel with contrast
HOLE_HU, DARK_HU = (-1000, -880), (-980, -730)  # borders of a pattern are soft
FIRST_IN_LOBE = 2  # generation of the bronchus that enters a lobe
Content = Callable[[Case, Blob], list[Part]]  # the case bears the lobe of the area


def inner_place(case: Case) -> Point:
    return draw_place(case, margin_mm=16.0)


def seen_in(
    kind: str,
    case: Case,
    radius_mm: tuple[float, float],
    content: Content,
    known_hu: tuple[int, int],
    strength: float = 1.0,
    whole: bool = False,
    place: Callable[[Case], Point] = inner_place,
) -> Finding:
    """An area of a lobe, in `real` sometimes of the same lobe on both sides. `whole`: all of it is marked."""
    side, lobe = case.region
    both = not case.easy and ("left", lobe) in LOBES and case.rng.random() < BOTH_SHARE
    sides: tuple[Side, ...] = SIDES if both else (side,)
    parts: list[Part] = []
    for one in sides:
        radius = case.uniform(*radius_mm)
        x, y, z = (radius * case.uniform(0.85, 1.15) for _ in range(3))
        here = replace(case, region=(one, lobe))
        area = Blob(None, place(here), (x, y, z), 0.0, one, lobe, marks=whole)
        parts += [*([area] if whole else []), *content(here, area)]
    named: FindingSide = "both" if both else side
    return Finding(kind, named, lobe, None, tuple(parts), strength, known_hu=known_hu)


def emphysema(case: Case) -> Finding:
    return seen_in("Emphysema", case, (32.0, 44.0) if case.easy else (34.0, 55.0), holes, HOLE_HU)


def holes(case: Case, area: Blob) -> list[Part]:
    """Air without tissue."""
    if case.easy:
        return [Patches(-990.0, area, Waves.draw(case.rng, 34.0), -0.3)]
    return [Patches(-965.0, area, Waves.draw(case.rng, case.uniform(18, 30)), case.uniform(0.0, 0.5))]


def mosaic(case: Case) -> Finding:
    return seen_in("Mosaic attenuation pattern", case, (45.0, 60.0), dark_patches, DARK_HU, strength=0.85)


def dark_patches(case: Case, area: Blob) -> list[Part]:
    """Sharply bounded lung that holds less blood and more air."""
    return [Patches(case.uniform(-945, -915), area, Waves.draw(case.rng, case.uniform(40, 60)), 0.0)]


def sequela(case: Case) -> Finding:
    return seen_in("Pulmonary fibrotic sequela", case, (16.0, 26.0), scars, LUNG_HU, whole=True)


def scars(case: Case, area: Blob) -> list[Part]:
    """Thin plates that cross, and a small lump where they meet."""
    hu, lump, rng = case.uniform(-80, 60), case.uniform(2.5, 5), case.rng
    length = 1.5 * min(area.radii) - 8
    bands = [
        Band(
            hu,
            along(area.centre, direction(rng), 4.0),
            direction(rng),
            length,
            case.uniform(1.5, 3.5),
            *case.region,
            marks=False,
        )
        for _ in range(int(rng.integers(3, 6)))
    ]
    return [*bands, Blob(hu, area.centre, (lump, lump, lump), 0.0, *case.region, marks=False)]


def septal_thickening(case: Case) -> Finding:
    return seen_in("Interlobular septal thickening", case, (26.0, 42.0), septa, LUNG_HU, whole=True)


def septa(case: Case, area: Blob) -> list[Part]:
    """The net of walls between lobules, thick enough to be seen."""
    fields = tuple(Waves.draw(case.rng, case.uniform(20, 28)) for _ in range(2))
    return [Net(case.uniform(-250, 0), area, (fields[0], fields[1]), case.uniform(1.2, 2.0))]


def peribronchial_thickening(case: Case) -> Finding:
    return seen_in(
        "Peribronchial thickening", case, (22.0, 34.0), thick_bronchi, LUNG_HU, whole=True, place=draw_fork
    )


def thick_bronchi(case: Case, area: Blob) -> list[Part]:
    return bronchi(case, area, 1.0, case.uniform(1.2, 2.4))


def bronchiectasis(case: Case) -> Finding:
    return seen_in("Bronchiectasis", case, (22.0, 34.0), wide_bronchi, LUNG_HU, whole=True, place=draw_fork)


def wide_bronchi(case: Case, area: Blob) -> list[Part]:
    return bronchi(case, area, case.uniform(1.8, 2.6), case.uniform(0.0, 0.4))


def bronchi(case: Case, area: Blob, widened: float, wall_mm: float) -> list[Part]:
    """The bronchi of the area, wider and thicker than they were: first all walls, then all lumens."""
    lumens, walls = [], []
    for airway in airways(case):
        tube, radius = airway.tube, widened * airway.tube.radius
        if min(np.linalg.norm(np.subtract(end, area.centre)) for end in (tube.start, tube.end)) < min(
            area.radii
        ):
            wide = Tube(tube.start, tube.end, radius + airway.wall_mm + wall_mm)
            walls.append(Pipe(10.0, wide, area, marks=False))
            lumens.append(Pipe(-980.0, Tube(tube.start, tube.end, radius), area, marks=False))
    return [*walls, *lumens]


def airways(case: Case) -> list[Airway]:
    """Bronchi of the lobe, beyond its first one."""
    own = [airway for airway in case.anatomy.airways if (airway.side, airway.lobe) == case.region]
    return [airway for airway in own if airway.generation > FIRST_IN_LOBE]


def draw_fork(case: Case) -> Point:
    """Where a bronchus of the lobe divides, the deepest of three."""
    ends = [airway.tube.end for airway in airways(case) if airway.generation <= FIRST_IN_LOBE + 2]
    candidates = [ends[int(case.rng.integers(len(ends)))] for _ in range(3)]
    x, y, z = np.array(candidates, np.float32).T
    return candidates[int(case.anatomy.lung(Points(x, y, z), *case.region).argmin())]
