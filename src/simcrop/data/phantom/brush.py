"""Compiled loops: painting solids and tubes into a volume.

Volumes are `(z, y, x)` float32 HU; where their voxels lie is told in mm of the patient's frame, in `plane` `(2, y, x)`
and `heights` `(z)`. What happens to a voxel does not depend on the block it is in, so slabs of any size give the
same bits.
"""

import numpy as np

from simcrop.data.phantom.carving import (
    DEPTH,
    GRAINS_PER_MM,
    HALF,
    ONE,
    TILES_PER_MM,
    TINY,
    ZERO,
    Texture,
    distances,
    look_up,
)
from simcrop.data.phantom.compiled import compiled

LEAF_X, LEAF_Y, LEAF_Z = 16, 8, 4  # voxels that are painted together
LEAF_VOXELS = LEAF_X * LEAF_Y * LEAF_Z
BRANCHING = 4  # leaves along each axis that are sorted together
SLOPE = np.float32(1.3)  # no distance grows faster than this per mm,
BEND = np.float32(0.012)  # nor does that change by more than this per mm


@compiled
def mix(
    values: np.ndarray,
    distance: np.ndarray,
    material: np.ndarray,
    at: np.ndarray,
    count: int,
    edge: float,
    texture: Texture,
) -> None:
    """Mix a material into voxels by the share that it fills; with `edge` 0 that is all or nothing.

    A material is HU, HU per mm towards the back, the y where that is 0, unevenness and grain in HU, strength.
    """
    base, below, level, uneven, grain, strength = (
        material[0],
        material[1],
        material[2],
        material[3],
        material[4],
        material[5],
    )
    per_edge = ONE / max(edge, TINY)
    for n in range(count):
        cover = min(max(HALF - distance[n] * per_edge, ZERO), ONE) * strength
        if edge == ZERO:
            cover = strength if distance[n] <= ZERO else ZERO
        distance[n] = cover
    for n in range(count):
        cover, value = distance[n], base + below * (level - at[1, n])
        if cover > ZERO and uneven != ZERO:
            value += uneven * look_up(texture, at[0, n], at[1, n], at[2, n], TILES_PER_MM, 0)
        if cover > ZERO and grain != ZERO:
            value += grain * look_up(texture, at[0, n], at[1, n], at[2, n], GRAINS_PER_MM, 1)
        values[n] = value if cover == ONE else values[n] + (value - values[n]) * cover


@compiled
def box_centre(
    plane: np.ndarray, heights: np.ndarray, low: tuple[int, ...], high: tuple[int, ...], to: np.ndarray
) -> float:
    """Middle of a box of voxels, written to `to`, and the distance from there to its corners."""
    x0, x1 = plane[0, low[1], low[0]], plane[0, high[1] - 1, high[0] - 1]
    y0, y1 = plane[1, low[1], low[0]], plane[1, high[1] - 1, high[0] - 1]
    z0, z1 = heights[low[2]], heights[high[2] - 1]
    to[0], to[1], to[2] = (x0 + x1) * HALF, (y0 + y1) * HALF, (z0 + z1) * HALF
    return np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2 + (z1 - z0) ** 2) * HALF


@compiled
def paint_solids(
    hu: np.ndarray,
    plane: np.ndarray,
    heights: np.ndarray,
    program: np.ndarray,
    starts: np.ndarray,
    materials: np.ndarray,
    edge: float,
    texture: Texture,
) -> None:
    """Paint solids one over the other; `plane` is `(2, y, x)` and `heights` `(z)` mm of the voxels.

    Boxes of leaves are sorted first, then leaves: a solid that is far from all voxels of a box is left out, and one
    that fills the box covers all before it.
    """
    nz, ny, nx = hu.shape
    many, margin = len(starts) - 1, edge * HALF + TINY
    stack, values = np.empty((DEPTH, LEAF_VOXELS), np.float32), np.empty(LEAF_VOXELS, np.float32)
    at, centre = np.empty((3, LEAF_VOXELS), np.float32), np.empty((3, BRANCHING**3), np.float32)
    reach, found = np.empty(BRANCHING**3, np.float32), np.empty((many, BRANCHING**3), np.float32)
    near, corners = np.empty(many, np.int64), np.empty((BRANCHING**3, 6), np.int64)
    for z0 in range(0, nz, LEAF_Z * BRANCHING):
        for y0 in range(0, ny, LEAF_Y * BRANCHING):
            for x0 in range(0, nx, LEAF_X * BRANCHING):
                z1, y1 = min(z0 + LEAF_Z * BRANCHING, nz), min(y0 + LEAF_Y * BRANCHING, ny)
                x1 = min(x0 + LEAF_X * BRANCHING, nx)
                radius = box_centre(plane, heights, (x0, y0, z0), (x1, y1, z1), at[:, 0])
                far = (SLOPE + BEND * radius) * radius + margin
                count = 0
                for solid in range(many):
                    distances(program[starts[solid] : starts[solid + 1]], at, 1, edge, texture, stack)
                    if stack[0, 0] < -far and materials[solid, 5] == ONE:
                        count = 0
                    if stack[0, 0] <= far:
                        near[count] = solid
                        count += 1
                if count == 0:
                    continue
                leaves = 0
                for z in range(z0, z1, LEAF_Z):
                    for y in range(y0, y1, LEAF_Y):
                        for x in range(x0, x1, LEAF_X):
                            ends = min(x + LEAF_X, x1), min(y + LEAF_Y, y1), min(z + LEAF_Z, z1)
                            radius = box_centre(plane, heights, (x, y, z), ends, centre[:, leaves])
                            reach[leaves] = (SLOPE + BEND * radius) * radius + margin
                            corners[leaves] = np.array([x, y, z, ends[0], ends[1], ends[2]])
                            leaves += 1
                for n in range(count):
                    rows = program[starts[near[n]] : starts[near[n] + 1]]
                    distances(rows, centre, leaves, edge, texture, stack)
                    found[n, :leaves] = stack[0, :leaves]
                for leaf in range(leaves):
                    first = -1
                    for n in range(count):
                        full = found[n, leaf] < -reach[leaf] and materials[near[n], 5] == ONE
                        if full or (first < 0 and found[n, leaf] <= reach[leaf]):
                            first = n
                    if first < 0:
                        continue
                    x2, y2, z2, x3, y3, z3 = corners[leaf]
                    voxels = 0
                    for z in range(z2, z3):
                        for y in range(y2, y3):
                            for x in range(x2, x3):
                                at[0, voxels], at[1, voxels] = plane[0, y, x], plane[1, y, x]
                                at[2, voxels], values[voxels] = heights[z], hu[z, y, x]
                                voxels += 1
                    for n in range(first, count):
                        if found[n, leaf] > reach[leaf]:
                            continue
                        if found[n, leaf] < -reach[leaf]:
                            stack[0, :voxels] = -reach[leaf]
                        else:
                            rows = program[starts[near[n]] : starts[near[n] + 1]]
                            distances(rows, at, voxels, edge, texture, stack)
                        mix(values, stack[0], materials[near[n]], at, voxels, edge, texture)
                    voxels = 0
                    for z in range(z2, z3):
                        for y in range(y2, y3):
                            for x in range(x2, x3):
                                hu[z, y, x] = values[voxels]
                                voxels += 1


@compiled
def paint_tubes(
    hu: np.ndarray,
    plane: np.ndarray,
    heights: np.ndarray,
    tubes: np.ndarray,
    to_index: np.ndarray,
    spacing: np.ndarray,
    edge: float,
) -> None:
    """Paint tubes of two radii and a HU; one thinner than a voxel becomes wider and as much fainter."""
    shape = hu.shape[::-1]
    for n in range(len(tubes)):
        p = tubes[n]
        ra, rb = max(p[6], edge * HALF), max(p[7], edge * HALF)
        strength = ((p[6] + p[7]) / (ra + rb)) ** 2
        low, high = [0, 0, 0], [0, 0, 0]
        for axis in range(3):
            m = to_index[axis]
            a = m[0] * p[0] + m[1] * p[1] + m[2] * p[2] + m[3]
            b = m[0] * p[3] + m[1] * p[4] + m[2] * p[5] + m[3]
            reach = (max(ra, rb) + edge) / spacing[axis]
            low[axis] = max(int(np.floor(min(a, b) - reach)), 0)
            high[axis] = min(int(np.ceil(max(a, b) + reach)) + 1, shape[axis])
        bx, by, bz = p[3] - p[0], p[4] - p[1], p[5] - p[2]
        per_length = ONE / max(bx * bx + by * by + bz * bz, TINY)
        per_edge, value = ONE / max(edge, TINY), p[8]
        for z in range(low[2], high[2]):
            dz = heights[z] - p[2]
            for y in range(low[1], high[1]):
                for x in range(low[0], high[0]):
                    dx, dy = plane[0, y, x] - p[0], plane[1, y, x] - p[1]
                    t = min(max((dx * bx + dy * by + dz * bz) * per_length, ZERO), ONE)
                    ex, ey, ez = dx - t * bx, dy - t * by, dz - t * bz
                    distance = np.sqrt(ex * ex + ey * ey + ez * ez) - (ra + t * (rb - ra))
                    cover = min(max(HALF - distance * per_edge, ZERO), ONE) * strength
                    if edge == ZERO:
                        cover = ONE if distance <= ZERO else ZERO
                    hu[z, y, x] += (value - hu[z, y, x]) * cover
