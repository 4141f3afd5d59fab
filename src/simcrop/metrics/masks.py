"""The inner loops over label volumes `(x, y, z)`, as machine code: counts, boxes, surfaces."""

import numpy as np

from simcrop.jit import compiled


@compiled
def count_labels(predicted: np.ndarray, truth: np.ndarray, counts: np.ndarray, boxes: np.ndarray) -> None:
    """Adds to `counts` `(l, 3)` the voxels of each label in the first, the second and both, and widens `boxes`
    `(l, 3, 2)` so that they hold all of them. Background, and labels beyond the last, are left out.
    """
    for x in range(truth.shape[0]):
        for y in range(truth.shape[1]):
            for z in range(truth.shape[2]):
                mine, right = predicted[x, y, z], truth[x, y, z]
                if mine == 0 and right == 0:
                    continue
                for side, label in enumerate((mine, right)):
                    if 0 < label < len(counts):
                        counts[label, side] += 1
                        for axis, at in enumerate((x, y, z)):
                            boxes[label, axis, 0] = min(boxes[label, axis, 0], at)
                            boxes[label, axis, 1] = max(boxes[label, axis, 1], at + 1)
                if mine == right and 0 < mine < len(counts):
                    counts[mine, 2] += 1


@compiled
def mark_surface(labels: np.ndarray, label: int, found: np.ndarray) -> int:
    """How many voxels of the label have a neighbour without it; the first of them, in order, go to `found` `(n, 3)`."""
    count = 0
    nx, ny, nz = labels.shape
    for x in range(nx):
        for y in range(ny):
            for z in range(nz):
                if labels[x, y, z] == label and not (
                    0 < x < nx - 1
                    and 0 < y < ny - 1
                    and 0 < z < nz - 1
                    and labels[x - 1, y, z] == label
                    and labels[x + 1, y, z] == label
                    and labels[x, y - 1, z] == label
                    and labels[x, y + 1, z] == label
                    and labels[x, y, z - 1] == label
                    and labels[x, y, z + 1] == label
                ):
                    if count < len(found):
                        found[count, 0], found[count, 1], found[count, 2] = x, y, z
                    count += 1
    return count
