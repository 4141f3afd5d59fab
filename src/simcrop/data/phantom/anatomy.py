"""One patient's chest without any finding: sizes and positions, lungs with lobes, heart, vessels.

Everything is mm of the patient's frame (x right, y front, z up, origin in the middle of the chest); distances
are negative inside. Arrays are `(z, y, x)` or broadcast to it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simcrop.data.phantom.grid import Point, Points
from simcrop.data.phantom.shapes import Tube, disc

Side = Literal["left", "right"]
Lobe = Literal["upper", "middle", "lower"]
LOBES: tuple[tuple[Side, Lobe], ...] = (
    ("right", "upper"),
    ("right", "middle"),
    ("right", "lower"),
    ("left", "upper"),
    ("left", "lower"),
)
FAT_AROUND_HEART_MM = 4.0


@dataclass(frozen=True)
class Lung:
    """An upright oval that narrows to its apex, stands on the dome of the diaphragm and is cut by fissures."""

    side: Side
    centre: tuple[float, float]
    half: tuple[float, float]
    widest_z: float
    apex_z: float
    rim_z: float  # lowest point, in the angle between diaphragm and ribs
    dome_mm: float  # height of the dome above the rim
    fissure_z: float  # height of the oblique fissure in the middle of the lung
    fissure_slope: float  # mm down per mm to the front
    minor_fissure_z: float  # border of upper and middle lobe, right only

    @property
    def sign(self) -> float:
        """+1 on the right, where x is positive, -1 on the left."""
        return 1.0 if self.side == "right" else -1.0

    def narrowing(self, z: np.ndarray) -> np.ndarray:
        """Size of the section at height z as a share of the widest one: 1 below, 0 at the apex."""
        up = np.clip((z - self.widest_z) / (self.apex_z - self.widest_z), 0, 1)
        return np.sqrt(1 - up**2.6)

    def diaphragm_z(self, points: Points) -> np.ndarray:
        """Height of the dome at each (x, y)."""
        x, y = (points.x - self.centre[0]) / self.half[0], (points.y - self.centre[1]) / self.half[1]
        return self.rim_z + self.dome_mm * (1 - x**2 - y**2)

    def outline(self, points: Points) -> np.ndarray:
        """Distance to the lung as if there were no mediastinum."""
        x = np.abs((points.x - self.centre[0]) / self.half[0]) ** 2.3
        y = np.abs((points.y - self.centre[1]) / self.half[1]) ** 2.3
        wall = ((x + y) ** (1 / 2.3) - self.narrowing(points.z)) * min(self.half)
        return np.maximum(np.maximum(wall, self.diaphragm_z(points) - points.z), 4 - self.sign * points.x)

    def lobe(self, points: Points, lobe: Lobe) -> np.ndarray:
        """Distance to the half-spaces that cut one lobe out of the lung."""
        above = points.z - self.fissure_z + self.fissure_slope * (points.y - self.centre[1])
        if lobe == "lower":
            return above
        if self.side == "left":
            return -above
        over_minor = self.minor_fissure_z - points.z
        return np.maximum(-above, over_minor if lobe == "upper" else -over_minor)


@dataclass(frozen=True)
class Heart:
    """An ellipsoid whose long axis is turned towards the patient's left front, flat against the breastbone."""

    centre: Point
    radii: Point
    turn: float  # radians
    front_y: float
    fluid_mm: float  # thickness of fluid around it, 0 in health

    def distance(self, points: Points) -> np.ndarray:
        cos, sin = float(np.cos(self.turn)), float(np.sin(self.turn))
        x, y = points.x - self.centre[0], points.y - self.centre[1]
        flat = ((x * cos + y * sin) / self.radii[0]) ** 2 + ((y * cos - x * sin) / self.radii[1]) ** 2
        distance = (np.sqrt(flat + ((points.z - self.centre[2]) / self.radii[2]) ** 2) - 1) * min(self.radii)
        return np.maximum(distance, points.y - self.front_y)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Sizes in mm and densities in HU of one patient."""

    body_half: tuple[float, float]
    fat_mm: float
    right: Lung
    left: Lung
    heart: Heart
    spine_y: float
    mediastinum_half: tuple[float, float]
    aorta: tuple[Tube, ...]
    vessels: tuple[Tube, ...]  # great vessels of the mediastinum
    airways: tuple[Tube, ...]
    branches: tuple[Tube, ...]  # vessels in the lungs
    waves: np.ndarray  # (n, 5): wave numbers along x, y, z in rad/mm and two phases
    rib_phase: float
    lung_hu: float
    blood_hu: float

    def side(self, side: Side) -> Lung:
        return self.right if side == "right" else self.left

    def mediastinum(self, points: Points) -> np.ndarray:
        """Distance to what lies between the lungs: the middle, the spine, the heart and the descending aorta."""
        middle = disc(points, (0.0, 0.0), self.mediastinum_half)
        spine = disc(points, (0.0, self.spine_y - 8), (25.0, 27.0))
        descending = self.aorta[-1]
        flat = np.sqrt((points.x - descending.end[0]) ** 2 + (points.y - descending.end[1]) ** 2)
        middle = np.minimum(np.minimum(middle, spine), flat - descending.radius - 1)
        margin = FAT_AROUND_HEART_MM + self.heart.fluid_mm
        return np.minimum(middle, self.heart.distance(points) - margin)

    def lung(self, points: Points, side: Side, lobe: Lobe | None = None) -> np.ndarray:
        """Distance to one lung, or to one of its lobes."""
        lung = self.side(side)
        distance = np.maximum(lung.outline(points), -self.mediastinum(points))
        return distance if lobe is None else np.maximum(distance, lung.lobe(points, lobe))

    def texture(self, points: Points) -> np.ndarray:
        """Smooth unevenness of tissue, about -1 to 1, the same on every grid."""
        total = np.zeros((), np.float32)
        for kx, ky, kz, flat_phase, up_phase in self.waves.tolist():
            total = total + np.sin(kx * points.x + ky * points.y + flat_phase) * np.sin(
                kz * points.z + up_phase
            )
        return total * np.float32(1.4 / np.sqrt(len(self.waves)))
