"""Compiled loops: painting solids and tubes into a volume.

Volumes are `(z, y, x)` float32 HU; where their voxels lie is told in mm of the patient's frame, in `plane` `(2, y, x)`
and `heights` `(z)`. What happens to a voxel does not depend on the block it is in, so slabs of any size give the
same bits.
"""

import numpy as np

from simcrop.phantom.kernels.carving import DEPTH, HALF, ONE, TILES_PER_MM, TINY, ZERO, Texture, distances
from simcrop.phantom.kernels.compiled import compiled, inner
from simcrop.phantom.kernels.leaves import (
    BEND,
    BLOCK_LEAVES,
    BLOCK_X,
    BLOCK_Y,
    BLOCK_Z,
    LEAF_VOXELS,
    SLOPE,
    STRENGTH,
    Leaves,
    box_centre,
    copy_leaf,
    copy_places,
    cut_up,
    fill_leaf,
    new_leaves,
    paste_leaf,
    sort_leaves,
)
from simcrop.phantom.kernels.mixing import (
    GRAINS_PER_MM,
    Grain,
    cover_of,
    is_plain,
    material_of,
    mix,
    new_grain,
)


@inner
def paint_leaf(
    hu: np.ndarray,
    plane: np.ndarray,
    heights: np.ndarray,
    leaf: int,
    leaves: Leaves,
    near: np.ndarray,
    found: np.ndarray,
    program: np.ndarray,
    starts: np.ndarray,
    materials: np.ndarray,
    edge: float,
    texture: Texture,
    wide: Grain,
    fine: Grain,
    stack: np.ndarray,
    at: np.ndarray,
    values: np.ndarray,
    own: np.ndarray,
) -> None:
    """Paint the `near` solids that were `found` in one leaf, in their order."""
    corner, lowest = leaves.corners[leaf], 0
    while found[lowest, leaf] < ZERO:
        lowest += 1
    covered, material = leaves.covered[leaf], materials[near[lowest]]
    if covered and leaves.topmost[leaf] == lowest and is_plain(material):
        fill_leaf(material[0], corner, hu)
        return
    slices, each = corner[5] - corner[2], (corner[4] - corner[1]) * (corner[3] - corner[0])
    voxels = slices * each
    copy_places(corner, plane, heights, at)
    if not covered:
        copy_leaf(hu, corner, values)
    wide.looked[0], fine.looked[0] = False, False
    for n in range(lowest, len(near)):
        if found[n, leaf] < ZERO:
            continue
        material = materials[near[n]]
        if not is_plain(material):
            material_of(material, at, corner[2], slices, each, texture[1], wide, fine, own)
        if found[n, leaf] > ZERO:
            stack[0, :voxels] = material[STRENGTH]
        else:
            distances(program[starts[near[n]] : starts[near[n] + 1]], at, voxels, edge, texture, stack)
            cover_of(stack[0], voxels, material[STRENGTH], edge)
        mix(values, stack[0], material, voxels, own)
    paste_leaf(values, corner, hu)


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
    once, stack, leaves = np.int64(1), np.empty((DEPTH, BLOCK_LEAVES), np.float32), new_leaves()
    near, found = np.empty(many, np.int64), np.empty((many, BLOCK_LEAVES), np.float32)
    at, values = np.empty((3, LEAF_VOXELS), np.float32), np.empty(LEAF_VOXELS, np.float32)
    own, wide = np.empty(LEAF_VOXELS, np.float32), new_grain(texture, heights, TILES_PER_MM, np.int64(0))
    fine = new_grain(texture, heights, GRAINS_PER_MM, np.int64(1))
    for z0 in range(0, nz, BLOCK_Z):
        for y0 in range(0, ny, BLOCK_Y):
            for x0 in range(0, nx, BLOCK_X):
                low = x0, y0, z0
                high = (min(x0 + BLOCK_X, nx), min(y0 + BLOCK_Y, ny), min(z0 + BLOCK_Z, nz))
                size = box_centre(plane, heights, low, high, at[:, 0])
                count = 0
                for solid in range(many):
                    material = materials[solid]
                    far = (material[SLOPE] + BEND * size) * size + margin
                    distances(program[starts[solid] : starts[solid + 1]], at, once, edge, texture, stack)
                    if stack[0, 0] < -far and material[STRENGTH] == ONE:
                        count = 0
                    if stack[0, 0] <= far:
                        near[count] = solid
                        count += 1
                if count == 0:
                    continue
                cut = cut_up(plane, heights, low, high, leaves)
                for n in range(count - 1, -1, -1):  # the last first: what it covers, others need not look at
                    rows, material = program[starts[near[n]] : starts[near[n] + 1]], materials[near[n]]
                    sort_leaves(
                        rows, material, plane, heights, cut, leaves, edge, texture, stack, found[n], n
                    )
                for leaf in range(cut):
                    if leaves.topmost[leaf] >= 0:
                        paint_leaf(
                            hu,
                            plane,
                            heights,
                            leaf,
                            leaves,
                            near[:count],
                            found,
                            program,
                            starts,
                            materials,
                            edge,
                            texture,
                            wide,
                            fine,
                            stack,
                            at,
                            values,
                            own,
                        )


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
