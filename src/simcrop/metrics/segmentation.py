"""How well a mask covers what it should, for one class in one scan: Dice, distances of surfaces, volumes.

Axes: x y z voxels of the scan's own grid, whose spacing need not be equal; n voxel of a surface. Lengths in mm, volumes
in ml. A voxel is of the surface where one of its six neighbours is not of the class, or the scan ends there.

Where the truth has no voxel of a class nothing is scored: NaN, never 0 or 1; a mask that has some is a false positive.
Where the mask misses a class altogether Dice and surface Dice are 0, and its distance, which is nowhere, is NaN.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from simcrop.metrics.masks import count_labels, mark_surface

Spacing = tuple[float, float, float]

PERCENTILE = 95
TOLERANCE_MM = 2.0
ROUNDING = 1e-6  # share of the tolerance: three voxels of 0.7 mm are 2.1 mm, whatever their sum is in binary
LEAF = 32


@dataclass(frozen=True)
class ClassScore:
    """One class in one scan. `dice` and `nsd` in [0, 1], the latter the share of both surfaces within `tolerance_mm`
    of the other (surface Dice); `hd95_mm`: 95 % of each surface lie no farther from the other than this.
    """

    dice: float
    hd95_mm: float
    nsd: float
    tolerance_mm: float
    truth_ml: float
    predicted_ml: float

    @property
    def present(self) -> bool:
        """Whether there was something to find."""
        return self.truth_ml > 0

    @property
    def false_positive(self) -> bool:
        return self.predicted_ml > 0 and not self.present

    @property
    def missed(self) -> bool:
        return self.present and self.predicted_ml == 0


def score_classes(
    predicted: np.ndarray,
    truth: np.ndarray,
    spacing_mm: Spacing,
    classes: Iterable[int],
    tolerance_mm: float = TOLERANCE_MM,
) -> list[ClassScore]:
    """Of each of `classes`, whose voxels have its number in two label volumes `(x, y, z)` of one shape."""
    wanted, order = list(classes), memory_order(truth)
    predicted, truth = as_stored(predicted, order), as_stored(truth, order)
    i, j, k = (spacing_mm[axis] for axis in order)
    counts, boxes = tally(predicted, truth, max(wanted, default=0))
    return [
        score_class(predicted, truth, label, counts[label], boxes[label], (i, j, k), tolerance_mm)
        for label in wanted
    ]


def score_class(
    predicted: np.ndarray,
    truth: np.ndarray,
    label: int,
    counts: np.ndarray,
    box: np.ndarray,
    spacing_mm: Spacing,
    tolerance_mm: float,
) -> ClassScore:
    in_mask, in_truth, in_both = counts.tolist()
    truth_ml, predicted_ml = in_truth * ml_per_voxel(spacing_mm), in_mask * ml_per_voxel(spacing_mm)
    if not in_truth:
        return ClassScore(np.nan, np.nan, np.nan, tolerance_mm, truth_ml, predicted_ml)
    if not in_mask:
        return ClassScore(0.0, np.nan, 0.0, tolerance_mm, truth_ml, predicted_ml)
    there = tuple(slice(low, high) for low, high in box.tolist())
    of_mask, of_truth = surface_distances(predicted[there], truth[there], label, spacing_mm)
    near = sum(int((of <= tolerance_mm * (1 + ROUNDING)).sum()) for of in (of_mask, of_truth))
    return ClassScore(
        2 * in_both / (in_mask + in_truth),
        max(float(np.percentile(of, PERCENTILE)) for of in (of_mask, of_truth)),
        near / (len(of_mask) + len(of_truth)),
        tolerance_mm,
        truth_ml,
        predicted_ml,
    )


def volumes_ml(labels: np.ndarray, spacing_mm: Spacing, classes: Iterable[int]) -> list[float]:
    """Millilitres of each of `classes` in a label volume."""
    wanted, stored = list(classes), as_stored(labels, memory_order(labels))
    counts = tally(stored, stored, max(wanted, default=0))[0]
    return [float(counts[label, 0]) * ml_per_voxel(spacing_mm) for label in wanted]


def ml_per_voxel(spacing_mm: Spacing) -> float:
    return float(np.prod(spacing_mm)) / 1000


def memory_order(labels: np.ndarray) -> np.ndarray:
    """The axes of an array from the farthest to the nearest in memory: a file may have been read either way round."""
    return np.argsort([-abs(step) for step in labels.strides], kind="stable")


def as_stored(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """With the axes in this order, as the loops walk fastest and are compiled for; a copy only of what differs."""
    return np.ascontiguousarray(labels.transpose(order), np.int16)


def tally(predicted: np.ndarray, truth: np.ndarray, last: int) -> tuple[np.ndarray, np.ndarray]:
    """For each label up to `last`: voxels `(3,)` in the mask, the truth and both, and the box `(3, 2)` around all."""
    counts = np.zeros((last + 1, 3), np.int64)
    boxes = np.empty((last + 1, 3, 2), np.int64)
    boxes[:, :, 0], boxes[:, :, 1] = predicted.shape, 0
    count_labels(predicted, truth, counts, boxes)
    return counts, boxes


def surface_distances(
    predicted: np.ndarray, truth: np.ndarray, label: int, spacing_mm: Spacing
) -> tuple[np.ndarray, np.ndarray]:
    """How far each surface voxel of the mask lies from the truth's surface `(n,)`, and the other way round. Both arrays
    hold the whole of the class.
    """
    surfaces = [surface(labels, label) * np.asarray(spacing_mm) for labels in (predicted, truth)]
    trees = [KDTree(points, leafsize=LEAF, balanced_tree=False, compact_nodes=False) for points in surfaces]
    of_mask, of_truth = (tree.query(points)[0] for points, tree in zip(surfaces, trees[::-1], strict=True))
    return of_mask, of_truth


def surface(labels: np.ndarray, label: int) -> np.ndarray:
    """Indices `(n, 3)` of the surface voxels of a class."""
    found = np.empty((mark_surface(labels, label, np.empty((0, 3), np.int32)), 3), np.int32)
    mark_surface(labels, label, found)
    return found
