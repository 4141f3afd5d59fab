"""How much of a voxel or of a box a body fills, measured at points finer than a coarse voxel.

Arrays are `(z, y, x)`; millimetres of the patient's frame (x right, y front, z up), volumes in ml.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.anatomy.shapes import coverage
from simcrop.phantom.findings.parts import Part
from simcrop.phantom.grid import Frame, Points, Pose, Window

FINE_MM = 3.0  # voxels with longer edges are looked at in several points
BOX_POINTS = 24  # per axis, in the box of one body
ENOUGH_POINTS = 2500  # to notice that two findings meet


def corners(part: Part) -> np.ndarray:
    """The eight corners `(8, 3)` of its box, which a turned patient needs all of."""
    low, high = part.box
    return np.array(
        [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    )


def fill(part: Part, anatomy: Anatomy, frame: Frame, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Share of every voxel of the window that the body covers: as it is painted, and as the truth counts it."""
    points, splits, edge_mm = fine_points(frame, window)
    distance = part.distance(points, anatomy)
    covered = coverage(distance, edge_mm)
    thickness, axes = part.thin
    if thickness >= edge_mm:
        shade = covered
    else:  # thinner than a voxel: as much tissue, spread over one voxel
        shade = (
            coverage(distance - (edge_mm - thickness) / 2, edge_mm) * np.float32(thickness / edge_mm) ** axes
        )
    return means(shade, splits), means(covered, splits)


def fine_points(frame: Frame, window: Window) -> tuple[Points, tuple[int, int, int], float]:
    """Points of a window, several per voxel where voxels are coarse; how many along z, y, x; their mean spacing."""
    spacing = spacing_mm(frame)
    c, b, a = (max(1, int(np.ceil(mm / FINE_MM - 1e-6))) for mm in spacing)
    splits = c, b, a
    edge_mm = float(np.mean(np.divide(spacing, splits)))
    if splits == (1, 1, 1):
        return frame.points[window], splits, edge_mm
    z, y, x = (
        (frame.lines[2 - axis][window[axis]][:, None] + mm * ((np.arange(n) + 0.5) / n - 0.5)).ravel()
        for axis, (mm, n) in enumerate(zip(spacing, splits, strict=True))
    )
    return in_patient(frame.pose, x, y, z), splits, edge_mm


def in_patient(pose: Pose, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Points:
    """Scanner mm along three axes -> points of the patient's frame that broadcast together."""
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    right, front = x[None, None, :] - pose.shift_mm[0], y[None, :, None] - pose.shift_mm[1]
    up = z[:, None, None] - pose.shift_mm[2]
    return Points(*(c.astype(np.float32) for c in (cos * right + sin * front, cos * front - sin * right, up)))


def spacing_mm(frame: Frame) -> tuple[float, float, float]:
    """Voxel edges along z, y, x; a slab may be a single slice, so z follows from the mean edge."""
    x, y = (abs(float(line[1] - line[0])) for line in frame.lines[:2])
    return 3 * frame.edge_mm - x - y, y, x


def means(fine: np.ndarray, splits: tuple[int, int, int]) -> np.ndarray:
    if splits == (1, 1, 1):
        return fine
    c, b, a = splits
    z, y, x = fine.shape
    return fine.reshape(z // c, c, y // b, b, x // a, a).mean((1, 3, 5))


@dataclass(frozen=True, eq=False)
class Extent:
    """Where a finding really is, without any grid: its volume in ml and points `(n,)` spread through it."""

    volume_ml: float
    points: Points

    def meets(self, other: tuple[Part, ...], anatomy: Anatomy) -> bool:
        """Whether any of its points lies in one of the other bodies."""
        return any(part.marks and bool((inside_box(part, self.points, anatomy)).any()) for part in other)


def extent_of(parts: tuple[Part, ...], anatomy: Anatomy) -> Extent:
    """Sample every marked body in a lattice over its own box; what two bodies share counts once."""
    volume, found, earlier = 0.0, [], []
    for part in parts:
        if not part.marks:
            continue
        points, cell_ml = lattice(part)
        inside = np.broadcast_to(part.distance(points, anatomy) < 0, (BOX_POINTS,) * 3)
        x, y, z = (np.broadcast_to(c, inside.shape)[inside] for c in (points.x, points.y, points.z))
        flat = Points(x, y, z)
        new = (
            ~np.any([inside_box(other, flat, anatomy) for other in earlier], 0)
            if earlier
            else np.ones(len(x), bool)
        )
        volume += float(new.sum()) * cell_ml
        found.append(np.stack([x, y, z])[:, new])
        earlier.append(part)
    spread = np.concatenate(found, 1)
    return Extent(volume, Points(*spread[:, :: len(spread[0]) // ENOUGH_POINTS + 1]))


def lattice(part: Part) -> tuple[Points, float]:
    """`BOX_POINTS` per axis, each in the middle of its cell, and the volume of a cell in ml."""
    low, high = part.box
    x, y, z = (
        (a + (b - a) * (np.arange(BOX_POINTS) + 0.5) / BOX_POINTS).astype(np.float32)
        for a, b in zip(low, high, strict=True)
    )
    cell = float(np.prod(np.subtract(high, low))) / BOX_POINTS**3 / 1000
    return Points(x[None, None, :], y[None, :, None], z[:, None, None]), cell


def inside_box(part: Part, points: Points, anatomy: Anatomy) -> np.ndarray:
    """Bool `(n,)`: which points lie in a body; only those in its box are looked at."""
    inside = np.ones(points.x.shape, bool)
    for c, low, high in zip((points.x, points.y, points.z), *part.box, strict=True):
        inside &= (c >= low) & (c <= high)
    if inside.any():
        near = Points(points.x[inside], points.y[inside], points.z[inside])
        inside[inside] = part.distance(near, anatomy) < 0
    return inside
