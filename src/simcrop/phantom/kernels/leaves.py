"""Compiled loops: cutting a volume into leaves, and telling which of them a solid fills, touches or misses.

Volumes are `(z, y, x)`; where their voxels lie is told in mm of the patient's frame, in `plane` `(2, y, x)` and
`heights` `(z)`. A leaf is a box of voxels that are painted together, a cell an eighth of it.
"""

from typing import NamedTuple

import numpy as np

from simcrop.phantom.kernels.carving import HALF, ONE, TINY, ZERO, Texture, distances
from simcrop.phantom.kernels.compiled import compiled, inner

LEAF_X, LEAF_Y, LEAF_Z = 8, 4, 4
LEAF_VOXELS = LEAF_X * LEAF_Y * LEAF_Z
BLOCK_X, BLOCK_Y, BLOCK_Z = 8 * LEAF_X, 8 * LEAF_Y, 4 * LEAF_Z  # leaves that are sorted together
BLOCK_LEAVES = 256
CELLS = 8  # of a leaf, half as long along each axis
BEND = np.float32(0.012)  # how much the slope of a distance changes per mm, at most
STRENGTH, SLOPE = 5, 6  # columns of a material


class Leaves(NamedTuple):
    """Of one block. `corners` are the first voxel and the one past the last, `(leaf, 6)` as x, y, z; middles in mm."""

    corners: np.ndarray
    middles: np.ndarray  # (3, leaf)
    radii: np.ndarray
    cells: np.ndarray  # (3, leaf * CELLS), middles of those that are halved
    cell_radii: np.ndarray
    halved: np.ndarray
    topmost: np.ndarray  # the last solid that is there, -1 for none
    covered: np.ndarray  # whether a solid fills all of it
    unsure: np.ndarray  # numbers of the leaves that a surface may run through
    closer: np.ndarray  # (3, BLOCK_LEAVES), middles of some of their cells


@compiled
def new_leaves() -> Leaves:
    return Leaves(
        np.empty((BLOCK_LEAVES, 6), np.int64),
        np.empty((3, BLOCK_LEAVES), np.float32),
        np.empty(BLOCK_LEAVES, np.float32),
        np.empty((3, BLOCK_LEAVES * CELLS), np.float32),
        np.empty(BLOCK_LEAVES * CELLS, np.float32),
        np.empty(BLOCK_LEAVES, np.bool_),
        np.empty(BLOCK_LEAVES, np.int64),
        np.empty(BLOCK_LEAVES, np.bool_),
        np.empty(BLOCK_LEAVES, np.int64),
        np.empty((3, BLOCK_LEAVES), np.float32),
    )


@inner
def box_centre(
    plane: np.ndarray, heights: np.ndarray, low: tuple[int, ...], high: tuple[int, ...], to: np.ndarray
) -> float:
    """Middle of a box of voxels, written to `to`, and the distance from there to its corners."""
    x0, x1 = plane[0, low[1], low[0]], plane[0, high[1] - 1, high[0] - 1]
    y0, y1 = plane[1, low[1], low[0]], plane[1, high[1] - 1, high[0] - 1]
    z0, z1 = heights[low[2]], heights[high[2] - 1]
    to[0], to[1], to[2] = (x0 + x1) * HALF, (y0 + y1) * HALF, (z0 + z1) * HALF
    return np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2 + (z1 - z0) ** 2) * HALF


@inner
def cut_up(
    plane: np.ndarray, heights: np.ndarray, low: tuple[int, ...], high: tuple[int, ...], leaves: Leaves
) -> int:
    """Cut a block into leaves that nothing has been painted into. Returns how many there are."""
    count, corners = 0, leaves.corners
    for z in range(low[2], high[2], LEAF_Z):
        for y in range(low[1], high[1], LEAF_Y):
            for x in range(low[0], high[0], LEAF_X):
                end = (min(x + LEAF_X, high[0]), min(y + LEAF_Y, high[1]), min(z + LEAF_Z, high[2]))
                leaves.radii[count] = box_centre(plane, heights, (x, y, z), end, leaves.middles[:, count])
                corners[count, 0], corners[count, 1], corners[count, 2] = x, y, z
                corners[count, 3], corners[count, 4], corners[count, 5] = end
                count += 1
    leaves.halved[:count], leaves.topmost[:count], leaves.covered[:count] = False, -1, False
    return count


@inner
def halve(plane: np.ndarray, heights: np.ndarray, leaves: Leaves, leaf: int) -> None:
    """Cut a leaf into its cells. One at the border of the volume may have fewer voxels: then cells share some."""
    c, n = leaves.corners[leaf], leaf * CELLS
    for z in (c[2], min(c[2] + LEAF_Z // 2, c[5] - 1)):
        for y in (c[1], min(c[1] + LEAF_Y // 2, c[4] - 1)):
            for x in (c[0], min(c[0] + LEAF_X // 2, c[3] - 1)):
                end = (min(x + LEAF_X // 2, c[3]), min(y + LEAF_Y // 2, c[4]), min(z + LEAF_Z // 2, c[5]))
                leaves.cell_radii[n] = box_centre(plane, heights, (x, y, z), end, leaves.cells[:, n])
                n += 1
    leaves.halved[leaf] = True


@inner
def sort_leaves(
    rows: np.ndarray,
    material: np.ndarray,
    plane: np.ndarray,
    heights: np.ndarray,
    count: int,
    leaves: Leaves,
    edge: float,
    texture: Texture,
    stack: np.ndarray,
    found: np.ndarray,
    solid: int,
) -> None:
    """Where one solid is, into `found`: -1 outside or under a later one, 1 inside, 0 where its surface may be."""
    slope, margin, unsure = material[SLOPE], edge * HALF + TINY, np.int64(0)
    distances(rows, leaves.middles, count, edge, texture, stack)
    for leaf in range(count):
        radius, d = leaves.radii[leaf], stack[0, leaf]
        far = (slope + BEND * radius) * radius + margin
        found[leaf] = -ONE if d > far or leaves.covered[leaf] else (ONE if d < -far else ZERO)
        if found[leaf] == ZERO:
            leaves.unsure[unsure] = leaf
            unsure += 1
    look_closer(rows, slope, margin, plane, heights, unsure, leaves, edge, texture, stack, found)
    for leaf in range(count):
        if found[leaf] >= ZERO:
            leaves.topmost[leaf] = max(leaves.topmost[leaf], solid)
            leaves.covered[leaf] = found[leaf] == ONE and material[STRENGTH] == ONE


@inner
def look_closer(
    rows: np.ndarray,
    slope: float,
    margin: float,
    plane: np.ndarray,
    heights: np.ndarray,
    unsure: int,
    leaves: Leaves,
    edge: float,
    texture: Texture,
    stack: np.ndarray,
    found: np.ndarray,
) -> None:
    """The same question for the cells of the leaves that could not be told; one answer for all decides."""
    at, together = leaves.closer, BLOCK_LEAVES // CELLS
    for start in range(0, unsure, together):
        chunk = leaves.unsure[start : min(start + together, unsure)]
        for n in range(len(chunk)):
            if not leaves.halved[chunk[n]]:
                halve(plane, heights, leaves, chunk[n])
            for axis in range(3):
                for cell in range(CELLS):
                    at[axis, n * CELLS + cell] = leaves.cells[axis, chunk[n] * CELLS + cell]
        distances(rows, at, len(chunk) * CELLS, edge, texture, stack)
        for n in range(len(chunk)):
            outside = inside = 0
            for cell in range(CELLS):
                radius, d = leaves.cell_radii[chunk[n] * CELLS + cell], stack[0, n * CELLS + cell]
                far = (slope + BEND * radius) * radius + margin
                outside += d > far
                inside += d < -far
            if outside == CELLS:
                found[chunk[n]] = -ONE
            elif inside == CELLS:
                found[chunk[n]] = ONE


@inner
def copy_places(corner: np.ndarray, plane: np.ndarray, heights: np.ndarray, at: np.ndarray) -> None:
    """Where the voxels of a leaf lie, slice after slice."""
    width, each = corner[3] - corner[0], (corner[3] - corner[0]) * (corner[4] - corner[1])
    for z in range(corner[5] - corner[2]):
        height = heights[corner[2] + z]
        for y in range(corner[4] - corner[1]):
            right, front = plane[0, corner[1] + y, corner[0] :], plane[1, corner[1] + y, corner[0] :]
            start = z * each + y * width
            a, b, c = at[0, start:], at[1, start:], at[2, start:]
            for x in range(width):
                a[x], b[x], c[x] = right[x], front[x], height


@inner
def copy_leaf(hu: np.ndarray, corner: np.ndarray, to: np.ndarray) -> None:
    """The values of a leaf, slice after slice."""
    count, width = 0, corner[3] - corner[0]
    for z in range(corner[2], corner[5]):
        for y in range(corner[1], corner[4]):
            row, out = hu[z, y, corner[0] :], to[count:]
            for x in range(width):
                out[x] = row[x]
            count += width


@inner
def paste_leaf(values: np.ndarray, corner: np.ndarray, hu: np.ndarray) -> None:
    """The way back."""
    count, width = 0, corner[3] - corner[0]
    for z in range(corner[2], corner[5]):
        for y in range(corner[1], corner[4]):
            row, out = values[count:], hu[z, y, corner[0] :]
            for x in range(width):
                out[x] = row[x]
            count += width


@inner
def fill_leaf(value: float, corner: np.ndarray, hu: np.ndarray) -> None:
    width = corner[3] - corner[0]
    for z in range(corner[2], corner[5]):
        for y in range(corner[1], corner[4]):
            out = hu[z, y, corner[0] :]
            for x in range(width):
                out[x] = value
