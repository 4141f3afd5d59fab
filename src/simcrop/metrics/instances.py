"""Instances of one finding: pieces of a mask one by one, and how many of two masks are each other's.

Axes: x y z voxels of the scan's own grid, whose spacing need not be equal; p predicted instance, t true one. Lengths in
mm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import find_objects, generate_binary_structure, label
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import KDTree

from simcrop.metrics.segmentation import surface

Spacing = tuple[float, float, float]
Box = tuple[slice, slice, slice]

SMALLEST = 10  # voxels: a smaller piece of a predicted mask is none
JOINED = 2  # voxels hang together by a face or an edge, and not by a corner: 18 neighbours
ROUNDING = 1e-6  # share of a limit in mm, as in `segmentation`


@dataclass(frozen=True, eq=False)
class Instance:
    """`mask`: its voxels in `box`, which holds all of them."""

    box: Box
    mask: np.ndarray
    spacing_mm: Spacing

    @cached_property
    def voxels(self) -> int:
        return int(self.mask.sum())

    @cached_property
    def centroid_mm(self) -> np.ndarray:
        """The mean of its voxels' centres `(3,)`, in mm from the first voxel of the scan."""
        return (np.argwhere(self.mask).mean(0) + self.start) * self.spacing_mm

    @cached_property
    def surface_mm(self) -> np.ndarray:
        """The centres of its surface voxels `(n, 3)`, those with a neighbour that is not its own."""
        inside = np.ascontiguousarray(self.mask, np.int16)
        return (surface(inside, 1) + self.start) * self.spacing_mm

    @cached_property
    def tree(self) -> KDTree:
        return KDTree(self.surface_mm)

    @property
    def start(self) -> list[int]:
        return [part.start for part in self.box]


def instances_in(labels: np.ndarray, spacing_mm: Spacing) -> list[Instance]:
    """One for each number in `labels` `(x, y, z)`, whole numbers, 0 for none; those that touch stay apart."""
    around = box_around(labels > 0)
    if around is None:
        return []
    inner = np.ascontiguousarray(labels[around], np.int32)
    return [
        Instance(moved(box, around), inner[box] == number, spacing_mm)
        for number, box in enumerate(find_objects(inner), start=1)
        if box is not None
    ]


def pieces_of(mask: np.ndarray, spacing_mm: Spacing, smallest: int = SMALLEST) -> list[Instance]:
    """The pieces of a mask `(x, y, z)` that hang together, without those of fewer voxels."""
    around = box_around(mask)
    if around is None:
        return []
    labels = np.empty(mask[around].shape, np.int32)
    label(mask[around], generate_binary_structure(3, JOINED), output=labels)
    found = (
        Instance(moved(box, around), labels[box] == number, spacing_mm)
        for number, box in enumerate(find_objects(labels), start=1)
    )
    return [piece for piece in found if piece.voxels >= smallest]


def box_around(mask: np.ndarray) -> Box | None:
    """The smallest box that holds all that is marked; None where nothing is."""
    along = [np.flatnonzero(np.any(mask, axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if not len(along[0]):
        return None
    x, y, z = (slice(int(at[0]), int(at[-1]) + 1) for at in along)
    return x, y, z


def moved(box: Box, around: Box) -> Box:
    """A box within another one, as the whole scan has it."""
    x, y, z = (slice(a.start + b.start, a.stop + b.start) for a, b in zip(box, around, strict=True))
    return x, y, z


def overlap(one: Instance, other: Instance) -> float:
    """Dice of two instances."""
    shared = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one.box, other.box, strict=True)]
    if any(low >= high for low, high in shared):
        return 0.0
    parts = (
        instance.mask[
            tuple(slice(low - s, high - s) for (low, high), s in zip(shared, instance.start, strict=True))
        ]
        for instance in (one, other)
    )
    return 2 * int(np.logical_and(*parts).sum()) / (one.voxels + other.voxels)


def centroid_distance(one: Instance, other: Instance) -> float:
    """How far the middles of two instances lie apart, in mm."""
    return float(np.linalg.norm(one.centroid_mm - other.centroid_mm))


def average_surface_distance(one: Instance, other: Instance) -> float:
    """The mean distance of both surfaces from each other, over the voxels of both together, in mm."""
    there, back = other.tree.query(one.surface_mm)[0], one.tree.query(other.surface_mm)[0]
    return float((there.sum() + back.sum()) / (len(there) + len(back)))


def gap_mm(one: Instance, other: Instance) -> float:
    """How far the boxes of two instances lie apart: no voxel of one is nearer to any of the other."""
    steps = [
        max(b.start - a.stop + 1, a.start - b.stop + 1, 0) for a, b in zip(one.box, other.box, strict=True)
    ]
    return float(np.linalg.norm(np.multiply(steps, one.spacing_mm)))


def pairs(
    predicted: Sequence[Instance], truth: Sequence[Instance], fits: Callable[[Instance, Instance], bool]
) -> int:
    """How many pairs of a predicted and a true instance that fit can be made, each instance in one at most."""
    if not predicted or not truth:
        return 0
    allowed = np.array([[fits(p, t) for t in truth] for p in predicted])
    return int((maximum_bipartite_matching(csr_array(allowed), perm_type="column") >= 0).sum())


def pairs_by_overlap(predicted: Sequence[Instance], truth: Sequence[Instance], least: float) -> int:
    """Pairs whose Dice is `least` or more."""
    return pairs(predicted, truth, lambda p, t: overlap(p, t) >= least)


def pairs_by_distance(
    predicted: Sequence[Instance], truth: Sequence[Instance], focal: bool, limit_mm: float
) -> int:
    """Pairs whose centroids (of a focal finding), else whose surfaces on average, lie within `limit_mm`."""
    distance, limit = centroid_distance if focal else average_surface_distance, limit_mm * (1 + ROUNDING)
    return pairs(predicted, truth, lambda p, t: (focal or gap_mm(p, t) <= limit) and distance(p, t) <= limit)
