"""Where in a map the similarity reaches a threshold: the connected regions, largest first.

Axes: cells of a map `(x, y, z)`; `affine` maps cell index -> RAS+ mm. Volumes in ml.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage


@dataclass(frozen=True)
class Region:
    """`centre_mm`: a point inside it, in the level that holds its largest part; corners in RAS+ mm."""

    ml: float
    centre_mm: list[float]
    low_mm: list[float]
    high_mm: list[float]
    similarity_max: float


def regions(
    values: np.ndarray, inside: np.ndarray, affine: np.ndarray, threshold: float, most: int
) -> list[Region]:
    """Cells that touch by a face belong together; only those `inside` the scan count."""
    found: Any = ndimage.label((values >= np.float32(threshold)) & inside)
    labels, count = found
    if not count:
        return []
    cells = np.bincount(labels.reshape(-1), minlength=count + 1)[1:]
    order = np.argsort(-cells, kind="stable")[:most]
    boxes, ml = ndimage.find_objects(labels), abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    return [region(values, labels, int(i) + 1, boxes[i], affine, float(cells[i]) * ml) for i in order]


def region(
    values: np.ndarray, labels: np.ndarray, number: int, box: tuple[slice, ...], affine: np.ndarray, ml: float
) -> Region:
    own = labels[box] == number
    first = np.array([part.start for part in box])
    corners = np.array(np.meshgrid(*((part.start - 0.5, part.stop - 0.5) for part in box), indexing="ij"))
    mm = apply_affine(affine, corners.reshape(3, -1).T)
    centre = apply_affine(affine, first + middle(own))
    return Region(
        round(ml, 4),
        centre.round(3).tolist(),
        mm.min(0).round(3).tolist(),
        mm.max(0).round(3).tolist(),
        float(values[box][own].max()),
    )


def middle(own: np.ndarray) -> np.ndarray:
    """The cell nearest to the middle of its largest level: the middle itself may lie beside a bent region."""
    level = int(own.sum((0, 1)).argmax())
    cells = np.argwhere(own[:, :, level])
    nearest = cells[((cells - cells.mean(0)) ** 2).sum(1).argmin()]
    return np.array([*nearest, level])
