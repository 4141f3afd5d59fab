"""Simple bodies as signed distances: negative inside, positive outside, zero on the surface.

Everything is mm of the patient's frame; arrays are `(z, y, x)` or broadcast to it, float32. Distances are
approximate away from the surface, which is where nobody looks.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.grid import Frame, Point, Points


def ellipsoid(points: Points, centre: Point, radii: Point) -> np.ndarray:
    """Distance to an ellipsoid with axes along x, y, z."""
    flat = ((points.x - centre[0]) / radii[0]) ** 2 + ((points.y - centre[1]) / radii[1]) ** 2
    return (np.sqrt(flat + ((points.z - centre[2]) / radii[2]) ** 2) - 1) * min(radii)


def disc(points: Points, centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """Distance to an upright elliptic cylinder without ends: the same in every slice."""
    flat = ((points.x - centre[0]) / radii[0]) ** 2 + ((points.y - centre[1]) / radii[1]) ** 2
    return (np.sqrt(flat) - 1) * min(radii)


def coverage(distance: np.ndarray, edge_mm: float) -> np.ndarray:
    """Share of a voxel that a body fills, in [0, 1]: surfaces are blurred over one voxel edge."""
    cover = np.asarray(distance / edge_mm)
    np.subtract(0.5, cover, out=cover)
    return np.clip(cover, 0, 1, out=cover)


def paint(hu: np.ndarray, value: float | np.ndarray, cover: np.ndarray) -> None:
    """Mix `value` HU into `hu` where the body covers it, in place."""
    change = np.asarray(value - hu)
    change *= cover
    hu += change


@dataclass(frozen=True)
class Tube:
    """A straight vessel, airway or wire with round ends."""

    start: Point
    end: Point
    radius: float
    tip: float | None = None  # radius at the end, where that differs

    def distance(self, points: Points) -> np.ndarray:
        axis = np.subtract(self.end, self.start)
        ax, ay, az = (float(a) for a in axis)
        x, y, z = points.x - self.start[0], points.y - self.start[1], points.z - self.start[2]
        along = np.clip((x * ax + y * ay + z * az) / max(float(axis @ axis), 1e-6), 0, 1)
        radius = self.radius if self.tip is None else self.radius + (self.tip - self.radius) * along
        return np.sqrt((x - along * ax) ** 2 + (y - along * ay) ** 2 + (z - along * az) ** 2) - radius

    def paint(self, hu: np.ndarray, frame: Frame, value: float) -> None:
        """Draw it. A tube thinner than a voxel becomes a wider, fainter one with the same amount of tissue."""
        window = frame.window(np.array([self.start, self.end]), max(self.radius, frame.edge_mm))
        if window is None:
            return
        radius = max(self.radius, frame.edge_mm / 2)
        distance = self.distance(frame.points[window]) - (radius - self.radius)
        paint(hu[window], value, coverage(distance, frame.edge_mm) * (self.radius / radius) ** 2)
