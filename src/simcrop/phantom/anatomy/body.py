"""One patient's chest without any finding: sizes and positions, lungs with lobes, heart, vessels, airways.

Everything is mm of the patient's frame (x right, y front, z up, origin in the middle of the chest); distances
are negative inside. Arrays are `(z, y, x)` or broadcast to it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from simcrop.phantom.anatomy.shapes import Tube
from simcrop.phantom.anatomy.solids import ENDLESS, Solid, bowl, flat, oval, slope, tube
from simcrop.phantom.grid import Point, Points
from simcrop.phantom.kernels import carving
from simcrop.phantom.kernels.texture import texture_tile

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
MIDLINE_MM = 4.0  # no lung comes closer to the middle


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
    tilt: float  # mm that the rim rises per mm to the front
    fissure_z: float  # height of the oblique fissure in the middle of the lung
    fissure_slope: float  # mm down per mm to the front
    minor_fissure_z: float  # border of upper and middle lobe, right only

    @property
    def sign(self) -> float:
        """+1 on the right, where x is positive, -1 on the left."""
        return 1.0 if self.side == "right" else -1.0

    def wall(self, beyond_mm: float = 0.0) -> Solid:
        """The column that the lung fills, endless downwards, or one that much wider."""
        half_x, half_y = self.half[0] + beyond_mm, self.half[1] + beyond_mm
        centre = (*self.centre, self.widest_z)
        return oval(centre, (half_x, half_y, self.apex_z - self.widest_z + beyond_mm), down=ENDLESS, boxy=0.3)

    @cached_property
    def above_diaphragm(self) -> Solid:
        """The space over the dome."""
        curve = (-self.dome_mm / self.half[0] ** 2, -self.dome_mm / self.half[1] ** 2)
        top = self.rim_z + self.tilt * (self.half[1] - self.centre[1]) + self.dome_mm
        return bowl(top, self.tilt, self.centre, curve)

    @cached_property
    def solid(self) -> Solid:
        """The lung as if there were no mediastinum."""
        return (
            self.wall()
            & self.above_diaphragm
            & slope((self.sign * MIDLINE_MM, 0.0, 0.0), (-self.sign, 0.0, 0.0))
        )

    @cached_property
    def oblique(self) -> Solid:
        """The half space of the lower lobe, under the oblique fissure."""
        return slope((0.0, self.centre[1], self.fissure_z), (0.0, self.fissure_slope, 1.0)).uneven(1.5)

    @cached_property
    def minor(self) -> Solid:
        """The half space under the minor fissure."""
        return slope((0.0, 0.0, self.minor_fissure_z), (0.0, 0.1, 1.0)).uneven(1.5)

    def lobe_solid(self, lobe: Lobe) -> Solid:
        """The half spaces that cut one lobe out of the lung."""
        if lobe == "lower":
            return self.oblique
        if self.side == "left":
            return self.oblique.inverse
        return self.oblique.inverse & (self.minor if lobe == "middle" else self.minor.inverse)


@dataclass(frozen=True)
class Heart:
    """An ellipsoid whose long axis is turned towards the patient's left front, flat against the breastbone."""

    centre: Point
    radii: Point
    turn: float  # radians
    front_y: float
    fluid_mm: float  # thickness of fluid around it, 0 in health

    @cached_property
    def solid(self) -> Solid:
        front = slope((0.0, self.front_y, 0.0), (0.0, 1.0, 0.0))
        return oval(self.centre, self.radii, turn=self.turn) & front

    def chamber(self, where: Point, radii: Point) -> Solid:
        """An oval inside, in shares of the heart: along its long axis, to its front, up."""
        cos, sin = float(np.cos(self.turn)), float(np.sin(self.turn))
        u, v, w = (share * radius for share, radius in zip(where, self.radii, strict=True))
        x, y, z = self.centre
        size = radii[0] * self.radii[0], radii[1] * self.radii[1], radii[2] * self.radii[2]
        return oval((x + u * cos - v * sin, y + u * sin + v * cos, z + w), size, turn=self.turn)

    def distance(self, points: Points) -> np.ndarray:
        return self.solid.distance(points)


@dataclass(frozen=True)
class Airway:
    """A piece of the bronchial tree: the trachea is generation 0, the main bronchi 1, those of the lobes 2 and on.

    `parent` is an index into the tree, -1 for the trachea. Side and lobe are those that it serves.
    """

    tube: Tube  # the lumen
    wall_mm: float
    generation: int
    parent: int
    side: Side | None = None
    lobe: Lobe | None = None


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Sizes in mm and densities in HU of one patient."""

    body_half: tuple[float, float]
    fat_mm: float
    breast_mm: float  # how far breasts stand out, 0 for none
    right: Lung
    left: Lung
    heart: Heart
    spine_y: float
    spine_bend: float  # mm to the front per squared mm of height
    mediastinum_half: tuple[float, float]
    aorta: tuple[Tube, ...]
    vessels: tuple[Tube, ...]  # great vessels of the mediastinum, the superior vena cava first
    airways: tuple[Airway, ...]
    branches: np.ndarray  # vessels in the lungs, float32 (n, 9): start, end, radius at each, HU
    texture_at: np.ndarray  # float32 (6,): the part of the texture that is this patient's
    rib_phase: float
    lung_hu: float
    blood_hu: float
    organ_hu: float  # HU that contrast adds to organs
    organ_scale: float  # length of the small organs of the belly, 1 on average

    def side(self, side: Side) -> Lung:
        return self.right if side == "right" else self.left

    @cached_property
    def middle(self) -> Solid:
        """What lies between the lungs: the middle, the spine, the heart in its fat, the aorta."""
        centre = oval((0.0, 0.0, 0.0), (*self.mediastinum_half, ENDLESS))
        spine = oval((0.0, self.spine_y - 8, 0.0), (25.0, 27.0, ENDLESS))
        arch, descending = self.aorta[1], self.aorta[-1]
        column = oval((*descending.end[:2], 0.0), (descending.radius + 1, descending.radius + 1, ENDLESS))
        around = self.heart.solid.grown(FAT_AROUND_HEART_MM + self.heart.fluid_mm)
        knob = tube(arch.end, descending.start, descending.radius + 2)
        return (centre | spine | around).blended(column, 6.0).blended(knob, 8.0)

    @cached_property
    def lung_solids(self) -> dict[Side, Solid]:
        return {"right": self.right.solid - self.middle, "left": self.left.solid - self.middle}

    @cached_property
    def cage(self) -> Solid:
        """The room within the ribs, endless downwards."""
        return self.right.wall(1.5).blended(self.left.wall(1.5), 60.0)

    def distance(self, solid: Solid, points: Points) -> np.ndarray:
        return solid.distance(points, self.texture_at)

    def mediastinum(self, points: Points) -> np.ndarray:
        """Distance to what lies between the lungs."""
        return self.distance(self.middle, points)

    def lung(self, points: Points, side: Side, lobe: Lobe | None = None) -> np.ndarray:
        """Distance to one lung, or to one of its lobes."""
        lung = self.lung_solids[side]
        return self.distance(lung if lobe is None else lung & self.side(side).lobe_solid(lobe), points)

    def texture(self, points: Points) -> np.ndarray:
        """Smooth unevenness of tissue, about -1 to 1, the same on every grid."""
        at, shape = flat(points)
        out = np.empty(at.shape[1], np.float32)
        carving.textures((texture_tile(), self.texture_at), at, out)
        return out.reshape(shape)
