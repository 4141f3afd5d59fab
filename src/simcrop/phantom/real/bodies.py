"""What makes the bodies of findings fit a real lung: crooked surfaces, uneven clouds, veils that vessels shine through.

Millimetres of a frame as the phantom's (x right, y front, z up); distances are negative inside; densities in HU.
"""

from dataclasses import dataclass, replace

import numpy as np

from simcrop.phantom.anatomy.body import Anatomy, Lobe, Side
from simcrop.phantom.findings.finding import DARKEST_HU, Finding
from simcrop.phantom.findings.parts import Band, Blob, Part
from simcrop.phantom.grid import Point, Points

CROOKED_MM = {
    "Consolidation": 9.0,
    "Lung opacity": 9.0,
    "Atelectasis": 7.0,
    "Lung nodule": 1.2,
}
UNEVEN = {"Consolidation": 0.06, "Lung opacity": 0.5}  # share of a cloud that is missing where it is thinnest
OPAQUE = ("Consolidation", "Atelectasis")
THINNER = {"Atelectasis": 0.6}
VEIL_HU = 40.0  # a veil is lung in which this takes the place of some of the air
VEIL_SHARE = (0.15, 0.6)
ASIDE_MM = 83.0  # where the texture is another one
LONG = 0.55  # surfaces bend in longer waves than the texture's own


@dataclass(frozen=True)
class Crooked:
    """Another body whose points are moved by up to about `most_mm`, cut to its lung or lobe afterwards."""

    body: Band | Blob
    side: Side
    lobe: Lobe
    most_mm: float

    @property
    def hu(self) -> float | None:
        return self.body.hu

    @property
    def marks(self) -> bool:
        return self.body.marks

    @property
    def centre(self) -> Point:
        return self.body.centre

    @property
    def thin(self) -> tuple[float, int]:
        return self.body.thin

    @property
    def box(self) -> tuple[Point, Point]:
        (a, b, c), (x, y, z) = self.body.box
        mm = 1.5 * self.most_mm
        return (a - mm, b - mm, c - mm), (x + mm, y + mm, z + mm)

    def distance(self, points: Points, anatomy: Anatomy) -> np.ndarray:
        moved = (self.moved(points, anatomy, axis) for axis in range(3))
        distance = self.body.distance(Points(*moved), anatomy)
        return np.maximum(distance, anatomy.lung(points, self.side, self.lobe))

    def moved(self, points: Points, anatomy: Anatomy, axis: int) -> np.ndarray:
        line = (points.x, points.y, points.z)[axis]
        x, y, z = (np.float32(LONG) * c for c in (points.x, points.y, points.z))
        shift = anatomy.texture(Points(x + np.float32(ASIDE_MM * axis), y, z))
        return line + np.float32(self.most_mm) * shift


def fitted(finding: Finding, lung_hu: float) -> Finding:
    """A finding as it would look in a lung of `lung_hu`."""
    most_mm, thinner = CROOKED_MM.get(finding.kind), THINNER.get(finding.kind, 1.0)
    if most_mm is not None:
        parts = tuple(crooked(part, most_mm, thinner) for part in finding.parts)
        finding = replace(finding, parts=parts)
    if finding.kind in OPAQUE:
        finding = replace(finding, strength=1.0)
    if finding.kind == "Lung opacity" or finding.place == "ground glass":
        finding = veiled(finding, lung_hu)
    return uneven(finding) if finding.kind in UNEVEN else finding


def crooked(part: Part, most_mm: float, thinner: float) -> Part:
    if isinstance(part, Band):
        part = replace(part, thickness_mm=part.thickness_mm * thinner)
    if isinstance(part, Band | Blob) and part.side is not None and part.lobe is not None:
        return Crooked(part, part.side, part.lobe, most_mm)
    return part


def veiled(finding: Finding, lung_hu: float) -> Finding:
    """As dense as it was drawn, but made of tissue that takes the place of some air."""
    aim = float(np.mean([part.hu for part in finding.parts if part.hu is not None]))
    share = float(np.clip((aim - lung_hu) / (VEIL_HU - lung_hu), *VEIL_SHARE))
    return replace(finding, parts=tuple(repainted(part) for part in finding.parts), strength=share)


def repainted(part: Part) -> Part:
    if isinstance(part, Crooked):
        return replace(part, body=replace(part.body, hu=VEIL_HU))
    return replace(part, hu=VEIL_HU) if isinstance(part, Blob) else part


def uneven(finding: Finding) -> Finding:
    """With the range of densities that a cloud has which is thinner in places."""
    _, high = finding.hu_range
    thinnest = finding.strength * (1 - UNEVEN[finding.kind])
    low = min(part.hu for part in finding.parts if part.hu is not None)
    return replace(finding, known_hu=(round(thinnest * low + (1 - thinnest) * DARKEST_HU - 1), high))


def thickness(finding: Finding, points: Points, anatomy: Anatomy) -> np.ndarray:
    """Share of a cloud that is there, up to 1, at points of the scan."""
    most, fine = np.float32(UNEVEN[finding.kind]), np.float32(2.0)
    coarse = anatomy.texture(points)
    pattern = coarse + anatomy.texture(Points(points.x * fine, points.y * fine, points.z * fine))
    return 1 - most * np.clip(0.5 + 0.5 * pattern, 0, 1)
