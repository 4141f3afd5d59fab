"""A real scan as a place for findings: its lungs and lobes as distances, and findings that fit into them.

Arrays are `(z, y, x)`; millimetres of a frame as the phantom's: x right, y front, z up, 0 in the middle of the chest.
Lobes are an approximation: planes at usual heights of the lungs' own boxes, and nothing is placed near such a plane.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage

from simcrop.phantom.anatomy.body import Anatomy, Lobe, Lung, Side
from simcrop.phantom.anatomy.draw import draw_anatomy
from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.findings.kinds import DRAWS, SMALLEST_ML, draw_finding, in_drawing_order, is_free
from simcrop.phantom.findings.places import Case, Region
from simcrop.phantom.findings.samples import Extent, extent_of
from simcrop.phantom.grid import Difficulty, Grid, Points
from simcrop.phantom.real.bodies import fitted
from simcrop.phantom.real.lungs import RealLungs

# Heights of the fissures, back and front, as shares of a lung's height.
OBLIQUE, MINOR = (0.83, 0.10), (0.62, 0.50)
UNSURE_MM = 12.0  # so close to such a plane a place may lie in either lobe
UNEVEN_MM = 6.0  # how uneven the border is at which a finding stops there
REGIONS: tuple[Region, ...] = (("right", "upper"), ("right", "lower"), ("left", "upper"), ("left", "lower"))
KINDS = ("Pleural effusion", "Emphysema", "Consolidation", "Lung opacity", "Atelectasis", "Lung nodule")
MOST, TRIES = 4, 60
DENSE_HU, DENSE_SHARE = -500.0, 0.15  # a place of which more is vessel or diseased already is left alone


@dataclass(frozen=True, eq=False, kw_only=True)
class RealChest(Anatomy):
    """What bodies ask of an anatomy, answered from a scan. Of heart, vessels and organs it knows nothing."""

    lungs: RealLungs
    grid: Grid

    @classmethod
    def of(cls, lungs: RealLungs, grid: Grid, rng: np.random.Generator) -> "RealChest":
        """`grid` is the scan's own, with its centre anywhere. The texture of this chest is drawn."""
        middle = [0.5 * (low + high) for low, high in both_boxes(lungs, grid)]
        x, y, z = (c - m for c, m in zip(grid.centre_mm, middle, strict=True))
        grid = replace(grid, centre_mm=(x, y, z))
        stranger = draw_anatomy(rng)
        unseen: dict[str, Any] = {field.name: getattr(stranger, field.name) for field in fields(Anatomy)}
        known: dict[str, Any] = {
            side: lung_of(side, box_mm(lungs.of(side), lungs, grid)) for side in ("right", "left")
        }
        return cls(**unseen | known, lungs=lungs, grid=grid)

    @cached_property
    def air_hu(self) -> float:
        """Of a usual voxel of the lungs."""
        return float(np.median(self.lungs.hu[self.lungs.right | self.lungs.left]))

    def lung(self, points: Points, side: Side, lobe: Lobe | None = None) -> np.ndarray:
        """Distance to a lung, or to what surely is a lobe of it."""
        distance = self.look_up(self.lungs.distances[side], points)
        if lobe is None:
            return distance
        lung, uneven = self.side(side), np.float32(UNEVEN_MM) * self.texture(points) + np.float32(UNSURE_MM)
        oblique = under(points, lung.fissure_z, lung.fissure_slope, lung.centre[1])
        if lobe == "lower":
            return np.maximum(distance, oblique + uneven)
        distance = np.maximum(distance, uneven - oblique)
        if side == "left":
            return distance
        minor = under(points, lung.minor_fissure_z, minor_slope(lung), lung.centre[1])
        return np.maximum(distance, uneven + (minor if lobe == "middle" else -minor))

    def look_up(self, values: np.ndarray, points: Points) -> np.ndarray:
        """Values of the lungs' coarse grid at points, between the eight nearest."""
        lines = zip(
            (points.z, points.y, points.x),
            index_of(self.grid),
            self.lungs.first,
            self.lungs.step,
            strict=True,
        )
        coarse = [
            ((c * slope + start) - first + 0.5) / step - 0.5 for c, (slope, start), first, step in lines
        ]
        at = np.stack(np.broadcast_arrays(*coarse)).astype(np.float32)
        return ndimage.map_coordinates(values, at, np.float32, order=1, mode="nearest", prefilter=False)


def index_of(grid: Grid) -> tuple[tuple[float, float], ...]:
    """Along z, y, x: voxels per mm, and the voxel of 0 mm, both with their sign."""
    x, y, z = grid.first_mm
    a, b, c = grid.spacing_mm
    return (1 / c, -z / c), (-1 / b, y / b), (-1 / a, x / a)


def under(points: Points, z: float, slope: float, at_y: float) -> np.ndarray:
    """Distance to the half space under a plane that falls by `slope` mm per mm to the front."""
    steep = np.float32((1 + slope**2) ** 0.5)
    return ((points.z - np.float32(z)) + np.float32(slope) * (points.y - np.float32(at_y))) / steep


Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def box_mm(mask: np.ndarray, lungs: RealLungs, grid: Grid) -> Box:
    """Lowest and highest x, y, z in mm of what a coarse mask marks."""
    lines = []
    for axis, ((slope, start), first, step) in enumerate(
        zip(index_of(grid), lungs.first, lungs.step, strict=True)
    ):
        found = np.flatnonzero(mask.any(tuple(n for n in range(3) if n != axis)))
        ends = [(first + step * float(n) - 0.5 - start) / slope for n in (found[0], found[-1] + 1)]
        lines.append((min(ends), max(ends)))
    z, y, x = lines
    return x, y, z


def both_boxes(lungs: RealLungs, grid: Grid) -> Box:
    return box_mm(lungs.right | lungs.left, lungs, grid)


def lung_of(side: Side, box: Box) -> Lung:
    """The box of a lung, and where its fissures usually run in such a box."""
    (left, right), (back, front), (low, high) = box
    depth, height = front - back, high - low
    return Lung(
        side=side,
        centre=(0.5 * (left + right), 0.5 * (back + front)),
        half=(0.5 * (right - left), 0.5 * depth),
        widest_z=low + 0.4 * height,
        apex_z=high,
        rim_z=low,
        dome_mm=0.0,
        tilt=0.0,
        fissure_z=low + height * sum(OBLIQUE) / 2,
        fissure_slope=height * (OBLIQUE[0] - OBLIQUE[1]) / depth,
        minor_fissure_z=low + height * sum(MINOR) / 2,
    )


def minor_slope(lung: Lung) -> float:
    return (lung.apex_z - lung.rim_z) * (MINOR[0] - MINOR[1]) / (2 * lung.half[1])


def draw_real_kinds(rng: np.random.Generator) -> list[str]:
    """One to four kinds, common ones more often."""
    shares = np.array([DRAWS[kind][1] for kind in KINDS])
    count = int(rng.integers(1, MOST + 1))
    return in_drawing_order(rng.choice(KINDS, count, replace=False, p=shares / shares.sum()).tolist())


def place_findings(
    rng: np.random.Generator, chest: RealChest, kinds: list[str], difficulty: Difficulty
) -> tuple[Finding, ...]:
    """Each kind where the lung is airy and no other body lies. A kind for which no room is left is dropped."""
    placed: list[tuple[Finding, Extent]] = []
    for kind in kinds:
        for _ in range(TRIES):
            region = REGIONS[int(rng.integers(len(REGIONS)))]
            finding = fitted(draw_finding(kind, Case(rng, chest, region, difficulty)), chest.air_hu)
            extent = extent_of(finding.parts, chest)
            if extent.volume_ml <= SMALLEST_ML.get(kind, 0.0) or not is_airy(chest, extent.points):
                continue
            if is_free(finding, extent, placed, chest):
                named = replace(finding, volume_ml=round(extent.volume_ml, 3), mask_value=len(placed) + 1)
                placed.append((named, extent))
                break
    return tuple(finding for finding, _ in placed)


def is_airy(chest: RealChest, points: Points) -> bool:
    dense = chest.look_up(chest.lungs.hu, points) > DENSE_HU
    return bool(dense.size) and float(dense.mean()) < DENSE_SHARE
