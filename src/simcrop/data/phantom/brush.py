"""Compiled loops: painting solids and tubes into a volume.

Volumes are `(z, y, x)` float32 HU; where their voxels lie is told in mm of the patient's frame, in `plane` `(2, y, x)`
and `heights` `(z)`. What happens to a voxel does not depend on the block it is in, so slabs of any size give the
same bits.
"""

import numpy as np

from simcrop.data.phantom.carving import (
    DEPTH,
    FINE,
    HALF,
    ONE,
    TILE,
    TILES_PER_MM,
    TINY,
    ZERO,
    Texture,
    distances,
)
from simcrop.data.phantom.compiled import compiled

LEAF_X, LEAF_Y, LEAF_Z = 8, 4, 4  # voxels that are painted together
LEAF_VOXELS = LEAF_X * LEAF_Y * LEAF_Z
BLOCK_X, BLOCK_Y, BLOCK_Z = 8 * LEAF_X, 8 * LEAF_Y, 4 * LEAF_Z  # leaves that are sorted together
BLOCK_LEAVES = 256
BEND = np.float32(0.012)  # how much the slope of a distance changes per mm, at most
STRENGTH, SLOPE = 5, 6  # columns of a material


@compiled
def slices_of(texture: Texture, heights: np.ndarray, per_mm: float, turn: int) -> np.ndarray:
    """The texture at the height of each slice `(z, TILE, TILE)`, so that a voxel only looks up its x and y."""
    tile, offset = texture
    out = np.empty((len(heights), TILE, TILE), np.float32)
    for n in range(len(heights)):
        z = heights[n] * per_mm + offset[turn + 2]
        floor = np.floor(z)
        below, share = int(floor) & (TILE - 1), z - floor
        above = (below + 1) & (TILE - 1)
        for j in range(TILE):
            for i in range(TILE):
                out[n, j, i] = tile[below, j, i] + (tile[above, j, i] - tile[below, j, i]) * share
    return out


@compiled
def look_flat(tile: np.ndarray, x: float, y: float) -> float:
    """The texture of a slice at one point, in lattice units."""
    fx, fy = np.floor(x), np.floor(y)
    i, j = int(fx) & (TILE - 1), int(fy) & (TILE - 1)
    i1, j1, u = (i + 1) & (TILE - 1), (j + 1) & (TILE - 1), x - fx
    a = tile[j, i] + (tile[j, i1] - tile[j, i]) * u
    b = tile[j1, i] + (tile[j1, i1] - tile[j1, i]) * u
    return a + (b - a) * (y - fy)


@compiled
def cover_of(distance: np.ndarray, count: int, strength: float, edge: float) -> None:
    """Turn distances into the share of each voxel that is replaced, in place; with `edge` 0 all or nothing."""
    per_edge = ONE / max(edge, TINY)
    if edge == ZERO:
        for n in range(count):
            distance[n] = strength if distance[n] <= ZERO else ZERO
    else:
        for n in range(count):
            distance[n] = min(max(HALF - distance[n] * per_edge, ZERO), ONE) * strength


@compiled
def mix(
    values: np.ndarray,
    cover: np.ndarray,
    material: np.ndarray,
    at: np.ndarray,
    count: int,
    first: int,
    each: int,
    wide: np.ndarray,
    fine: np.ndarray,
    offset: np.ndarray,
) -> None:
    """Mix a material into a leaf, which has `each` voxels in each slice from `first` on.

    A material is HU, HU per mm towards the back, the y where that is 0, unevenness and grain in HU, strength, slope.
    """
    base, below, level, uneven, grain = material[0], material[1], material[2], material[3], material[4]
    if below == ZERO and uneven == ZERO and grain == ZERO:
        for n in range(count):
            values[n] = base if cover[n] == ONE else values[n] + (base - values[n]) * cover[n]
        return
    finer = TILES_PER_MM * np.float32(FINE)
    for n in range(count):
        if cover[n] > ZERO:
            x, y, z = at[0, n], at[1, n], first + n // each
            value = base + below * (level - y)
            if uneven != ZERO:
                u, v = x * TILES_PER_MM + offset[0], y * TILES_PER_MM + offset[1]
                value += uneven * look_flat(wide[z], u, v)
            if grain != ZERO:
                value += grain * look_flat(fine[z], x * finer + offset[1], y * finer + offset[2])
            values[n] = value if cover[n] == ONE else values[n] + (value - values[n]) * cover[n]


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
def cut_up(
    plane: np.ndarray,
    heights: np.ndarray,
    low: tuple[int, ...],
    high: tuple[int, ...],
    corners: np.ndarray,
    centre: np.ndarray,
    radius: np.ndarray,
) -> int:
    """The leaves of a block: their first and last voxels, middles and radii. Returns how many there are."""
    count = 0
    for z in range(low[2], high[2], LEAF_Z):
        for y in range(low[1], high[1], LEAF_Y):
            for x in range(low[0], high[0], LEAF_X):
                end = min(x + LEAF_X, high[0]), min(y + LEAF_Y, high[1]), min(z + LEAF_Z, high[2])
                radius[count] = box_centre(plane, heights, (x, y, z), end, centre[:, count])
                corners[count, 0], corners[count, 1], corners[count, 2] = x, y, z
                corners[count, 3], corners[count, 4], corners[count, 5] = end
                count += 1
    return count


@compiled
def copy_leaf(
    hu: np.ndarray, corner: np.ndarray, plane: np.ndarray, heights: np.ndarray, at: np.ndarray, to: np.ndarray
) -> int:
    """Values and places of a leaf's voxels. Returns how many there are."""
    count = 0
    for z in range(corner[2], corner[5]):
        for y in range(corner[1], corner[4]):
            for x in range(corner[0], corner[3]):
                at[0, count], at[1, count], at[2, count] = plane[0, y, x], plane[1, y, x], heights[z]
                to[count] = hu[z, y, x]
                count += 1
    return count


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
    """Paint solids one over the other.

    Blocks of leaves are sorted first, then leaves: a solid that is far from all voxels of a block is left out, and
    one that fills the block covers all before it.
    """
    nz, ny, nx = hu.shape
    many, margin = len(starts) - 1, edge * HALF + TINY
    stack, values = np.empty((DEPTH, BLOCK_LEAVES), np.float32), np.empty(LEAF_VOXELS, np.float32)
    at, centre = np.empty((3, LEAF_VOXELS), np.float32), np.empty((3, BLOCK_LEAVES), np.float32)
    radius, found = np.empty(BLOCK_LEAVES, np.float32), np.empty((many, BLOCK_LEAVES), np.float32)
    near, corners = np.empty(many, np.int64), np.empty((BLOCK_LEAVES, 6), np.int64)
    wide = slices_of(texture, heights, TILES_PER_MM, 0)
    fine = slices_of(texture, heights, TILES_PER_MM * np.float32(FINE), 1)
    for z0 in range(0, nz, BLOCK_Z):
        for y0 in range(0, ny, BLOCK_Y):
            for x0 in range(0, nx, BLOCK_X):
                low = x0, y0, z0
                high = min(x0 + BLOCK_X, nx), min(y0 + BLOCK_Y, ny), min(z0 + BLOCK_Z, nz)
                size = box_centre(plane, heights, low, high, at[:, 0])
                count = 0
                for solid in range(many):
                    material = materials[solid]
                    far = (material[SLOPE] + BEND * size) * size + margin
                    distances(program[starts[solid] : starts[solid + 1]], at, 1, edge, texture, stack)
                    if stack[0, 0] < -far and material[STRENGTH] == ONE:
                        count = 0
                    if stack[0, 0] <= far:
                        near[count] = solid
                        count += 1
                if count == 0:
                    continue
                leaves = cut_up(plane, heights, low, high, corners, centre, radius)
                for n in range(count):
                    slope = materials[near[n], SLOPE]
                    distances(
                        program[starts[near[n]] : starts[near[n] + 1]], centre, leaves, edge, texture, stack
                    )
                    for leaf in range(leaves):  # -1 outside, 1 inside, 0 where its surface may be
                        far = (slope + BEND * radius[leaf]) * radius[leaf] + margin
                        d = stack[0, leaf]
                        found[n, leaf] = -ONE if d > far else (ONE if d < -far else ZERO)
                for leaf in range(leaves):
                    first = -1
                    for n in range(count):
                        covers = found[n, leaf] == ONE and materials[near[n], STRENGTH] == ONE
                        if covers or (first < 0 and found[n, leaf] >= ZERO):
                            first = n
                    if first < 0:
                        continue
                    corner = corners[leaf]
                    voxels = copy_leaf(hu, corner, plane, heights, at, values)
                    each = voxels // (corner[5] - corner[2])
                    for n in range(first, count):
                        if found[n, leaf] < ZERO:
                            continue
                        material = materials[near[n]]
                        if found[n, leaf] > ZERO:
                            stack[0, :voxels] = material[STRENGTH]
                        else:
                            rows = program[starts[near[n]] : starts[near[n] + 1]]
                            distances(rows, at, voxels, edge, texture, stack)
                            cover_of(stack[0], voxels, material[STRENGTH], edge)
                        mix(values, stack[0], material, at, voxels, corner[2], each, wide, fine, texture[1])
                    voxels = 0
                    for z in range(corner[2], corner[5]):
                        for y in range(corner[1], corner[4]):
                            for x in range(corner[0], corner[3]):
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
