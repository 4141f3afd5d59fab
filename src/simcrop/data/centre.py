"""Where the lungs lie in a scan, so that the input can be cut around them however the patient was placed.

Axes: x right, y front, z up (RAS+), voxels of the resampled scan; HU. A coarse look by threshold: air that does not
reach the sides of a slice, in pieces of about the size of a lung.
"""

from typing import Any

import numpy as np
from scipy import ndimage

COARSE_MM = 8.0
AIR_HU = -400.0  # halfway from lung to tissue
LEAST_ML = 300.0  # of both lungs
WINDPIPE_SHARE = 0.05  # of the widest slice: less is the windpipe above the lungs, or their tips
LEAST_SHARE = 0.2  # of the largest piece: a smaller one is gas in the bowel


def lung_centre(hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray | None:
    """The middle of the box around both lungs, `(3,)` in voxels; None where no lungs are found, as in a scan that cuts
    through them at the side.
    """
    steps = [max(1, round(COARSE_MM / mm)) for mm in spacing_mm]
    if any(n < step for n, step in zip(hu.shape, steps, strict=True)):
        return None
    labelled: Any = ndimage.label(air_inside(coarse(hu, steps) < AIR_HU))
    pieces, count = labelled
    if not count:
        return None
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = sizes >= max(LEAST_SHARE * sizes.max(), 1)
    if sizes[kept].sum() * np.prod(steps) * np.prod(spacing_mm) < LEAST_ML * 1000:
        return None
    lungs = kept[pieces]
    areas = lungs.sum((0, 1))
    at = np.argwhere(lungs & (areas >= WINDPIPE_SHARE * areas.max()))
    return (at.min(0) + at.max(0) + 1) / 2 * steps - 0.5


def air_inside(air: np.ndarray) -> np.ndarray:
    """Without what reaches the sides. Slice by slice: through the windpipe the lungs are open to slices of padding."""
    in_plane = ndimage.generate_binary_structure(3, 1)
    in_plane[:, :, [0, 2]] = False
    labelled: Any = ndimage.label(air, in_plane)
    planes = labelled[0]
    sides = np.unique(np.concatenate([planes[[0, -1]].ravel(), planes[:, [0, -1]].ravel()]))
    return air & ~np.isin(planes, sides)


def coarse(hu: np.ndarray, steps: list[int]) -> np.ndarray:
    """Means over blocks; what does not fill a block at the far end is left out."""
    x, y, z = (n // step * step for n, step in zip(hu.shape, steps, strict=True))
    summed = hu[:x, :y, :z]
    for axis, step in enumerate(steps):  # one after the other: a tenth of the time of a mean over all three
        lines = np.moveaxis(summed, axis, 0)
        total = lines[::step].astype(np.float32)
        for place in range(1, step):
            total += lines[place::step]
        summed = np.moveaxis(total, 0, axis)
    return summed / np.float32(np.prod(steps))
