"""The inner loops of the way back, as machine code: which class wins between eight voxels of the resampled grid.

Axes: y z of two neighbouring rows, c class; j k stored voxels between them.
"""

import numpy as np

from simcrop.jit import compiled

MIXED = -1


@compiled
def agreed(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """`(y, z)`: the class that is largest at all eight corners from each voxel of two rows on, or -1. Whatever mean of
    the corners is taken, it is largest there, too: most of a scan needs no interpolation.
    """
    cells = np.empty_like(low)
    for y in range(low.shape[0]):
        above = min(y + 1, low.shape[0] - 1)
        for z in range(low.shape[1]):
            behind = min(z + 1, low.shape[1] - 1)
            first = low[y, z]
            same = (
                low[above, z] == first
                and low[y, behind] == first
                and low[above, behind] == first
                and high[y, z] == first
                and high[above, z] == first
                and high[y, behind] == first
                and high[above, behind] == first
            )
            cells[y, z] = first if same else MIXED
    return cells


@compiled
def vote(
    low: np.ndarray,
    high: np.ndarray,
    cells: np.ndarray,
    x_weight: np.float32,
    y_low: np.ndarray,
    y_weight: np.ndarray,
    z_low: np.ndarray,
    z_weight: np.ndarray,
    out: np.ndarray,
) -> None:
    """Labels of one stored plane `(j, k)`, `x_weight` of the way from the row `low` to `high`, both `(y, z, c)`."""
    one = np.float32(1)
    for j in range(len(y_low)):
        y, above, v = y_low[j], min(y_low[j] + 1, low.shape[0] - 1), y_weight[j]
        for k in range(len(z_low)):
            z = z_low[k]
            if cells[y, z] != MIXED:
                out[j, k] = cells[y, z]
                continue
            behind, w = min(z + 1, low.shape[1] - 1), z_weight[k]
            best, winner = np.float32(-1), 0
            for c in range(low.shape[2]):
                near = (one - v) * ((one - w) * low[y, z, c] + w * low[y, behind, c]) + v * (
                    (one - w) * low[above, z, c] + w * low[above, behind, c]
                )
                far = (one - v) * ((one - w) * high[y, z, c] + w * high[y, behind, c]) + v * (
                    (one - w) * high[above, z, c] + w * high[above, behind, c]
                )
                mean = (one - x_weight) * near + x_weight * far
                if mean > best:
                    best, winner = mean, c
            out[j, k] = winner
