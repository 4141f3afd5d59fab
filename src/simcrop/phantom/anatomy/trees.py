"""Grows the trees of airways and vessels: branches that divide until each serves a small part of its lobe.

Points and branch ends are float32 `(n, 3)` in mm of the patient's frame.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.phantom.kernels.compiled import compiled

MURRAY = 0.36  # a branch that serves twice the tissue is 2 ** this times as wide
REACH = np.float32(0.5)  # how far towards the middle of what it serves a branch runs before it divides


@dataclass(frozen=True, eq=False)
class Tree:
    """Branches, parents before children: `parent` is -1 at the root, `served` counts the ends behind a branch."""

    start: np.ndarray
    end: np.ndarray
    parent: np.ndarray
    generation: np.ndarray
    served: np.ndarray

    def radius(self, root_mm: float) -> np.ndarray:
        return root_mm * (self.served / self.served[0]) ** MURRAY


def grow(root: tuple[float, float, float], points: np.ndarray) -> Tree:
    """A tree from `root` with one end at each of the points."""
    most = 2 * len(points)
    ends, numbers = np.empty((2, most, 3), np.float32), np.empty((3, most), np.int64)
    count = divide(np.array(root, np.float32), points.astype(np.float32), ends, numbers)
    return Tree(ends[0, :count], ends[1, :count], *numbers[:, :count])


@compiled
def dot(a: np.ndarray, b: np.ndarray) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled
def divide(root: np.ndarray, points: np.ndarray, ends: np.ndarray, numbers: np.ndarray) -> int:
    """Halve the points across their longest axis, over and over; every half gets a branch. Counts the branches."""
    stack = np.empty((64, 4), np.int64)  # first and last point, parent, generation
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 0, len(points), -1, 0
    depth, count = 1, 0
    key, sorted_points = np.empty(len(points), np.float32), np.empty_like(points)
    while depth > 0 and len(points) > 0:
        depth -= 1
        low, high, parent, generation = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
        start = root if parent < 0 else ends[1, parent]
        part = points[low:high]
        middle = np.zeros(3, np.float32)
        for n in range(high - low):
            middle += part[n]
        middle /= np.float32(high - low)
        share = np.float32(1) if high - low == 1 else REACH
        for n in range(3):
            ends[0, count, n], ends[1, count, n] = start[n], start[n] + share * (middle[n] - start[n])
        numbers[0, count], numbers[1, count], numbers[2, count] = parent, generation, high - low
        count += 1
        if high - low == 1:
            continue
        axis = longest_axis(part, middle, middle - start)
        for n in range(high - low):
            key[n] = dot(part[n] - middle, axis)
        order = np.argsort(key[: high - low])
        for n in range(high - low):
            for i in range(3):
                sorted_points[n, i] = part[order[n], i]
        for n in range(high - low):
            for i in range(3):
                part[n, i] = sorted_points[n, i]
        half = low + (high - low) // 2
        for first, last in ((half, high), (low, half)):
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = first, last, count - 1
            stack[depth, 3] = generation + 1
            depth += 1
    return count


@compiled
def longest_axis(points: np.ndarray, middle: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Direction in which points spread most, not counting most of the way in which the branch runs."""
    spread = np.zeros((3, 3), np.float32)
    way = along / max(np.sqrt(dot(along, along)), np.float32(1e-6))
    for n in range(len(points)):
        off = points[n] - middle
        off -= np.float32(0.7) * dot(off, way) * way
        for i in range(3):
            for j in range(3):
                spread[i, j] += off[i] * off[j]
    axis = np.array([0.5, 0.6, 0.62], np.float32)
    for _ in range(6):
        axis = np.array([dot(spread[0], axis), dot(spread[1], axis), dot(spread[2], axis)], np.float32)
        axis /= max(np.sqrt(dot(axis, axis)), np.float32(1e-6))
    return axis
