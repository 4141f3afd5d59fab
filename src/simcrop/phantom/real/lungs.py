"""Finds both lungs in a real chest scan by threshold, on a grid of about 2 mm, or says why it cannot.

Arrays are `(z, y, x)` as on a phantom's grid: x to the left, y to the back, z up. Lengths in mm, densities in HU.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
from scipy import ndimage

from simcrop.errors import SimcropError
from simcrop.phantom.anatomy.body import Side
from simcrop.phantom.grid import Triple

Spacing = tuple[float, float, float]  # along z, y, x

COARSE_MM = 2.2
AIR_HU = -400.0  # halfway from lung to tissue, where the border of the lung lies
LEAST_ML, MOST_ML = 400.0, 6000.0  # of one lung
CUT_SHARE = 0.1  # of its widest slice that a lung may have in the first or last slice of the scan
WINDPIPE_MM2, MIDDLE_MM = (
    900.0,
    38.0,
)  # air of a slice that is this small and this close to the middle is no lung
# How much wider a bridge between the lungs may be; how far a lung is from its core.
APART_MM, FAR_MM = 6.0, 14.0
VESSEL_MM = 5.0  # vessels up to this width belong to the lung
FEWEST_SHARE = 0.02  # of a scan that must be air inside, before anybody looks closer
MARGIN = 4  # voxels kept around the lungs


@dataclass(frozen=True, eq=False)
class RealLungs:
    """`hu` is the scan, `right` and `left` are bool, all on the coarse grid, of which only the part around the lungs
    is kept: `step` voxels of the scan make a coarse one, and voxel `first` of the scan begins the first one.
    """

    hu: np.ndarray
    right: np.ndarray
    left: np.ndarray
    step: Triple  # along z, y, x
    first: Triple
    spacing_mm: Spacing  # of the coarse grid, along z, y, x

    def of(self, side: Side) -> np.ndarray:
        return self.right if side == "right" else self.left

    @cached_property
    def distances(self) -> dict[Side, np.ndarray]:
        """Distance in mm to the surface of each lung, negative inside, float32 on the coarse grid."""
        return {
            "right": distance_to(self.right, self.spacing_mm),
            "left": distance_to(self.left, self.spacing_mm),
        }

    def volume_ml(self, side: Side) -> float:
        return float(self.of(side).sum() * np.prod(self.spacing_mm) / 1000)


def find_lungs(hu: np.ndarray, spacing_mm: Spacing) -> RealLungs:
    """Both lungs of a scan `(z, y, x)` with voxels of `spacing_mm` along z, y, x."""
    c, b, a = (max(1, min(round(COARSE_MM / mm), n)) for mm, n in zip(spacing_mm, hu.shape, strict=True))
    coarse = block_means(hu, (c, b, a))
    z, y, x = (float(n * mm) for n, mm in zip((c, b, a), spacing_mm, strict=True))
    air = inner_air(coarse)
    if air.sum() <= FEWEST_SHARE * air.size:
        raise SimcropError("no-lungs", "no two lungs full of air lie inside the scan, expected a whole chest")
    rows, columns = around(air, 1), around(air, 2)
    coarse, air = coarse[:, rows, columns], air[:, rows, columns]
    right, left = two_lungs(without_windpipe(air, (z, y, x)), (z, y, x))
    right = whole(right, (z, y, x))
    left = whole(left, (z, y, x)) & ~right
    first = 0, rows.start * b, columns.start * a
    lungs = RealLungs(coarse, right, left, (c, b, a), first, (z, y, x))
    check(lungs)
    return lungs


def block_means(hu: np.ndarray, step: Triple) -> np.ndarray:
    """Means over blocks of `step` voxels; what is left at the ends is cut off."""
    c, b, a = step
    z, y, x = (n // s for n, s in zip(hu.shape, step, strict=True))
    return hu[: z * c, : y * b, : x * a].reshape(z, c, y, b, x, a).mean((1, 3, 5), dtype=np.float32)


def inner_air(hu: np.ndarray) -> np.ndarray:
    """Air that is not connected to the sides of the scan."""
    labels, _ = pieces(hu < AIR_HU)
    sides = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    outer = np.unique(np.concatenate([np.unique(side) for side in sides]))
    inner = np.ones(int(labels.max()) + 1, bool)
    inner[outer] = inner[0] = False
    return inner[labels]


def around(air: np.ndarray, axis: int) -> slice:
    """The part of an axis that holds air, and a little more."""
    other = tuple(n for n in range(3) if n != axis)
    found = np.flatnonzero(air.any(other))
    return slice(max(int(found[0]) - MARGIN, 0), int(found[-1]) + MARGIN + 1)


def without_windpipe(air: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Without what is small and in the middle of its slice: windpipe, main bronchi, air in the gullet."""
    columns = np.flatnonzero(air.any((0, 1)))
    middle, kept = 0.5 * (columns[0] + columns[-1]), air.copy()
    _, y_mm, x_mm = spacing_mm
    for z in np.flatnonzero(air.any((1, 2))):
        labels, count = pieces(air[z])
        areas = np.bincount(labels.ravel(), minlength=count + 1)
        sums = np.bincount(labels.ravel(), np.broadcast_to(np.arange(air.shape[2]), labels.shape).ravel())
        off_middle = np.abs(sums / np.maximum(areas, 1) - middle)
        windpipe = (areas * (y_mm * x_mm) < WINDPIPE_MM2) & (off_middle * x_mm < MIDDLE_MM)
        kept[z] &= ~windpipe[labels]
    return kept


def two_lungs(air: np.ndarray, spacing_mm: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Right and left lung: the two largest pieces, pulled apart where they touch. x grows to the patient's left."""
    depth = depth_mm(air, spacing_mm)
    for core_mm in (0.0, 0.5 * APART_MM, APART_MM, 1.5 * APART_MM):
        labels, count = pieces(depth > core_mm)
        sizes = np.bincount(labels.ravel(), minlength=3)[1:] * float(np.prod(spacing_mm) / 1000)
        first, second = (np.argsort(-sizes, kind="stable") + 1)[:2]
        if count >= 2 and sizes[second - 1] >= 0.5 * LEAST_ML:
            owner = nearest_piece(labels, (int(first), int(second)), spacing_mm) * air
            x = [np.nonzero(owner == n)[2].mean() for n in (first, second)]
            right, left = (first, second) if x[0] < x[1] else (second, first)
            return owner == right, owner == left
    raise SimcropError("no-lungs", "no two separate lungs lie inside the scan, expected a whole chest")


def nearest_piece(labels: np.ndarray, wanted: tuple[int, int], spacing_mm: Spacing) -> np.ndarray:
    """Label of the nearest of two pieces, 0 far from both."""
    found: Any = ndimage.distance_transform_edt(~np.isin(labels, wanted), spacing_mm, return_indices=True)
    away, nearest = found
    return np.where(away < FAR_MM, labels[tuple(nearest)], 0)


def pieces(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected pieces, numbered from 1, and how many there are."""
    found: Any = ndimage.label(mask)
    return found[0], int(found[1])


def depth_mm(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """How far each voxel of a mask is from what is outside it."""
    return np.asarray(ndimage.distance_transform_edt(mask, spacing_mm))


def box_of(mask: np.ndarray, margin_mm: float, spacing_mm: Spacing) -> tuple[slice, ...]:
    """The part of the grid that holds a mask, at least one voxel beside it, and as far around it as `margin_mm`; of an
    empty mask all of the grid.
    """
    if not mask.any():
        return tuple(slice(0, n) for n in mask.shape)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    wider = [ceil(margin_mm / mm) + 1 for mm in spacing_mm]
    return tuple(slice(max(s.start - n, 0), s.stop + n) for s, n in zip(box, wider, strict=True))


def whole(lung: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """A lung with the vessels and small lesions in it."""
    box, filled = box_of(lung, VESSEL_MM, spacing_mm), np.zeros_like(lung)
    beyond = depth_mm(~lung[box], spacing_mm) > VESSEL_MM / 2
    closed = depth_mm(~beyond, spacing_mm) > VESSEL_MM / 2
    filled[box] = np.stack([np.asarray(ndimage.binary_fill_holes(area)) for area in lung[box] | closed])
    return filled


def distance_to(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    outside, inside, box = depth_mm(~mask, spacing_mm), np.zeros(mask.shape), box_of(mask, 0.0, spacing_mm)
    inside[box] = depth_mm(mask[box], spacing_mm)  # the nearest voxel outside lies no further than that
    half = 0.5 * float(np.mean(spacing_mm))
    return np.where(mask, half - inside, outside - half).astype(np.float32)


def check(lungs: RealLungs) -> None:
    """Two lungs of human size, each whole."""
    for side in ("right", "left"):
        ml = lungs.volume_ml(side)
        if not LEAST_ML <= ml <= MOST_ML:
            raise SimcropError(
                "no-lungs",
                f"the {side} lung would measure {ml:.0f} ml, expected {LEAST_ML:.0f} to {MOST_ML:.0f} ml",
            )
        area = lungs.of(side).sum((1, 2))
        if max(area[0], area[-1]) > CUT_SHARE * area.max():
            raise SimcropError(
                "lungs-cut", f"the {side} lung reaches beyond the scan, expected a scan of the whole chest"
            )
