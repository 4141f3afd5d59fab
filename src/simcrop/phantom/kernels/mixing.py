"""Compiled loops: mixing a material into the voxels of a leaf, with the texture of its tissue.

Leaves are flat, slice after slice, each slice with `each` voxels; places `at` are `(3, voxels)` in mm of the patient's
frame, values in HU.
"""

from typing import NamedTuple

import numpy as np

from simcrop.phantom.kernels.carving import FINE, HALF, ONE, TILE, TILES_PER_MM, TINY, ZERO, Texture
from simcrop.phantom.kernels.compiled import compiled, inner
from simcrop.phantom.kernels.leaves import LEAF_X, LEAF_Y

GRAINS_PER_MM = TILES_PER_MM * np.float32(FINE)


class Grain(NamedTuple):
    """One of the two textures: over centimetres, or over millimetres. What lies above a leaf's places is kept."""

    slices: np.ndarray  # (z, TILE * TILE), at the height of each slice
    corners: np.ndarray  # (4, each) uint32, the lattice points around each place of a slice
    share: np.ndarray  # (2, each), how far it lies to the right and to the front between them
    looked: np.ndarray  # bool (1,), whether this leaf's places have been looked for


@compiled
def new_grain(texture: Texture, heights: np.ndarray, per_mm: float, turn: int) -> Grain:
    each = LEAF_X * LEAF_Y
    return Grain(
        slices_of(texture, heights, per_mm, turn),
        np.empty((4, each), np.uint32),
        np.empty((2, each), np.float32),
        np.zeros(1, np.bool_),
    )


@compiled
def slices_of(texture: Texture, heights: np.ndarray, per_mm: float, turn: int) -> np.ndarray:
    """The texture at the height of each slice `(z, TILE * TILE)`, so that a voxel only looks up its x and y."""
    tile, offset = texture
    out = np.empty((len(heights), TILE * TILE), np.float32)
    for n in range(len(heights)):
        z = heights[n] * per_mm + offset[turn + 2]
        floor = np.floor(z)
        below, share = int(floor) & (TILE - 1), z - floor
        above = (below + 1) & (TILE - 1)
        for j in range(TILE):
            for i in range(TILE):
                out[n, j * TILE + i] = tile[below, j, i] + (tile[above, j, i] - tile[below, j, i]) * share
    return out


@inner
def look(grain: Grain, at: np.ndarray, each: int, per_mm: float, right: float, front: float) -> None:
    """Where the places of a leaf lie on the lattice; those of its slices lie above each other."""
    corners, share = grain.corners, grain.share
    for n in range(each):
        x, y = at[0, n] * per_mm + right, at[1, n] * per_mm + front
        fx, fy = np.floor(x), np.floor(y)
        i, j = int(fx) & (TILE - 1), int(fy) & (TILE - 1)
        i1, j1 = (i + 1) & (TILE - 1), ((j + 1) & (TILE - 1)) * TILE
        j *= TILE
        corners[0, n], corners[1, n], corners[2, n], corners[3, n] = j + i, j + i1, j1 + i, j1 + i1
        share[0, n], share[1, n] = x - fx, y - fy
    grain.looked[0] = True


@inner
def add_grain(grain: Grain, first: int, slices: int, each: int, hu: float, to: np.ndarray) -> None:
    """Add the texture, `hu` strong, to every voxel of a leaf that begins at the slice `first`."""
    p, q, r, s = grain.corners[0], grain.corners[1], grain.corners[2], grain.corners[3]
    u, v = grain.share[0], grain.share[1]
    for z in range(slices):
        tile, out = grain.slices[first + z], to[z * each : z * each + each]
        for n in range(each):
            a = tile[p[n]] + (tile[q[n]] - tile[p[n]]) * u[n]
            b = tile[r[n]] + (tile[s[n]] - tile[r[n]]) * u[n]
            out[n] += hu * (a + (b - a) * v[n])


@inner
def cover_of(distance: np.ndarray, count: int, strength: float, edge: float) -> None:
    """Turn distances into the share of each voxel that is replaced, in place; with `edge` 0 all or nothing."""
    per_edge = ONE / max(edge, TINY)
    if edge == ZERO:
        for n in range(count):
            distance[n] = strength if distance[n] <= ZERO else ZERO
    else:
        for n in range(count):
            distance[n] = min(max(HALF - distance[n] * per_edge, ZERO), ONE) * strength


@inner
def is_plain(material: np.ndarray) -> bool:
    """Whether it has the same density everywhere."""
    return material[1] == ZERO and material[3] == ZERO and material[4] == ZERO


@inner
def material_of(
    material: np.ndarray,
    at: np.ndarray,
    first: int,
    slices: int,
    each: int,
    offset: np.ndarray,
    wide: Grain,
    fine: Grain,
    to: np.ndarray,
) -> None:
    """HU of a material in every voxel of a leaf.

    A material is HU, HU per mm towards the back, the y where that is 0, unevenness and grain in HU, strength, slope.
    """
    base, below, level, uneven, grain = material[0], material[1], material[2], material[3], material[4]
    for n in range(slices * each):
        to[n] = base + below * (level - at[1, n])
    if uneven != ZERO:
        if not wide.looked[0]:
            look(wide, at, each, TILES_PER_MM, offset[0], offset[1])
        add_grain(wide, first, slices, each, uneven, to)
    if grain != ZERO:
        if not fine.looked[0]:
            look(fine, at, each, GRAINS_PER_MM, offset[1], offset[2])
        add_grain(fine, first, slices, each, grain, to)


@inner
def mix(values: np.ndarray, cover: np.ndarray, material: np.ndarray, count: int, own: np.ndarray) -> None:
    """Mix a material into a leaf where it covers it; `own` is its HU there unless it is plain."""
    if is_plain(material):
        base = material[0]
        for n in range(count):
            values[n] = base if cover[n] == ONE else values[n] + (base - values[n]) * cover[n]
    else:
        for n in range(count):
            values[n] = own[n] if cover[n] == ONE else values[n] + (own[n] - values[n]) * cover[n]
