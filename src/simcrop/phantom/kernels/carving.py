"""Compiled loops: the distance of a solid, and the texture of tissue, at points.

Points are float32 `(3, n)` in mm of the patient's frame. A solid is rows of a postfix program (`solids.py`): a row is
a code and its parameters, and either puts the distance of a simple body on a stack or works on what lies there.
"""

import numpy as np

from simcrop.phantom.kernels.compiled import compiled, inner

OVAL, TUBE, SHEET, COMB, STOREY, UNION, WITHIN, CUT, GROWN, SHELL, HOOP, BLEND, UNEVEN, INVERSE = range(14)
ROW = 16  # numbers per row of a program: the code, then its parameters
BATCH = 512  # points that are measured together
DEPTH = 6  # distances that wait for their operation
TILE = 64  # lattice points of the texture along each axis, after which it repeats
TILE_MM = 4.0
FINE = 3.3  # the grain is the same texture, this much finer
TILES_PER_MM = np.float32(1 / TILE_MM)
ZERO, QUARTER, HALF, ONE = np.float32(0), np.float32(0.25), np.float32(0.5), np.float32(1)
TINY = np.float32(1e-6)

Texture = tuple[np.ndarray, np.ndarray]  # the tile, and the lattice point that lies in the patient's origin


@inner
def look_up(texture: Texture, x: float, y: float, z: float, per_mm: float, turn: int) -> float:
    """The texture at one point, between its eight neighbours."""
    tile, offset = texture
    x, y, z = x * per_mm + offset[turn], y * per_mm + offset[turn + 1], z * per_mm + offset[turn + 2]
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fx) & (TILE - 1), int(fy) & (TILE - 1), int(fz) & (TILE - 1)
    i1, j1, k1 = (i + 1) & (TILE - 1), (j + 1) & (TILE - 1), (k + 1) & (TILE - 1)
    u, v, w = x - fx, y - fy, z - fz
    a = tile[k, j, i] + (tile[k, j, i1] - tile[k, j, i]) * u
    b = tile[k, j1, i] + (tile[k, j1, i1] - tile[k, j1, i]) * u
    c = tile[k1, j, i] + (tile[k1, j, i1] - tile[k1, j, i]) * u
    d = tile[k1, j1, i] + (tile[k1, j1, i1] - tile[k1, j1, i]) * u
    low, high = a + (b - a) * v, c + (d - c) * v
    return low + (high - low) * w


@compiled
def textures(texture: Texture, at: np.ndarray, out: np.ndarray) -> None:
    for n in range(len(out)):
        out[n] = look_up(texture, at[0, n], at[1, n], at[2, n], TILES_PER_MM, 0)


@inner
def oval(p: np.ndarray, at: np.ndarray, count: int, out: np.ndarray) -> None:
    """Centre, inverse radii (upwards and downwards apart), how boxy in a slice, turn, bend along z, least radius."""
    cx, cy, cz, ix, iy, up, down = p[1], p[2], p[3], p[4], p[5], p[6], p[7]
    boxy, cos, sin, bend, scale = p[8], p[9], p[10], p[11], p[12]
    x, y, z = at[0], at[1], at[2]
    for n in range(count):
        h = z[n] - cz
        dx, dy = x[n] - cx, y[n] - cy - bend * h * h
        u, v = (dx * cos + dy * sin) * ix, (dy * cos - dx * sin) * iy
        w = max(h, ZERO) * up + max(-h, ZERO) * down
        u, v, w = u * u, v * v, w * w
        if boxy == ZERO:  # as below, with one root instead of four
            out[n] = (np.sqrt(u + v + w) - ONE) * scale
            continue
        flat = (ONE - boxy) * np.sqrt(u + v) + boxy * np.sqrt(np.sqrt(u * u + v * v))
        out[n] = (np.sqrt(flat * flat + w) - ONE) * scale


@inner
def tube(p: np.ndarray, at: np.ndarray, count: int, out: np.ndarray) -> None:
    """Start, end, and the radius at each."""
    ax, ay, az, ra, taper = p[1], p[2], p[3], p[7], p[8] - p[7]
    bx, by, bz = p[4] - ax, p[5] - ay, p[6] - az
    per_length = ONE / max(bx * bx + by * by + bz * bz, TINY)
    x, y, z = at[0], at[1], at[2]
    for n in range(count):
        dx, dy, dz = x[n] - ax, y[n] - ay, z[n] - az
        t = min(max((dx * bx + dy * by + dz * bz) * per_length, ZERO), ONE)
        ex, ey, ez = dx - t * bx, dy - t * by, dz - t * bz
        out[n] = np.sqrt(ex * ex + ey * ey + ez * ez) - (ra + t * taper)


@inner
def sheet(p: np.ndarray, at: np.ndarray, count: int, out: np.ndarray) -> None:
    """A plane, or a bowl: constant, slopes along x, y, z, and curvatures along x and y around a point."""
    c, sx, sy, sz, qx, x0, qy, y0 = p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
    x, y, z = at[0], at[1], at[2]
    for n in range(count):
        u, v = x[n] - x0, y[n] - y0
        a, b = qx * u, qy * v
        gx, gy = sx + a + a, sy + b + b
        steep = np.sqrt(gx * gx + gy * gy + sz * sz)
        out[n] = (c + sx * x[n] + sy * y[n] + sz * z[n] + a * u + b * v) / steep


@inner
def comb(p: np.ndarray, at: np.ndarray, count: int, out: np.ndarray) -> None:
    """Plates one above the other: phase, period, slopes to the side and to the front, half thickness, scale."""
    phase, period, side, front, half, scale = p[1], p[2], p[3], p[4], p[5], p[6]
    x, y, z = at[0], at[1], at[2]
    for n in range(count):
        w = z[n] - phase + side * abs(x[n]) + front * y[n]
        w = w - period * np.floor(w / period + HALF)
        out[n] = (abs(w) - half) * scale


@inner
def storey(p: np.ndarray, at: np.ndarray, count: int, out: np.ndarray) -> None:
    """What lies between two heights."""
    low, high, z = p[1], p[2], at[2]
    for n in range(count):
        out[n] = max(low - z[n], z[n] - high)


@inner
def alone(p: np.ndarray, at: np.ndarray, count: int, finest: float, texture: Texture, a: np.ndarray) -> None:
    """An operation on one distance."""
    size = p[1]
    if p[0] == UNEVEN:
        for n in range(count):
            a[n] += size * look_up(texture, at[0, n], at[1, n], at[2, n], p[2], 0)
    elif p[0] == SHELL:
        half = max(size, finest * HALF)
        for n in range(count):
            a[n] = abs(a[n]) - half
    elif p[0] == INVERSE:
        for n in range(count):
            a[n] = -a[n]
    else:
        for n in range(count):
            a[n] -= size


@inner
def together(p: np.ndarray, count: int, a: np.ndarray, b: np.ndarray) -> None:
    """An operation on two distances, left in the first."""
    size, code = p[1], int(p[0])
    if code == UNION:
        for n in range(count):
            a[n] = min(a[n], b[n])
    elif code == WITHIN:
        for n in range(count):
            a[n] = max(a[n], b[n])
    elif code == CUT:
        for n in range(count):
            a[n] = max(a[n], -b[n])
    elif code == BLEND:
        for n in range(count):
            h = max(size - abs(a[n] - b[n]), ZERO)
            a[n] = min(a[n], b[n]) - h * h * QUARTER / size
    else:
        thin, high, scale = ONE / size, ONE / p[2], min(size, p[2])
        for n in range(count):
            u, v = a[n] * thin, b[n] * high
            a[n] = (np.sqrt(u * u + v * v) - ONE) * scale


@inner
def distances(
    rows: np.ndarray, at: np.ndarray, count: int, finest: float, texture: Texture, stack: np.ndarray
) -> None:
    """One solid at `count` points, into `stack[0]`. Shells are at least `finest` mm thick."""
    top = -1
    for row in range(len(rows)):
        p = rows[row]
        code = int(p[0])
        if code <= STOREY:
            top += 1
            if code == OVAL:
                oval(p, at, count, stack[top])
            elif code == TUBE:
                tube(p, at, count, stack[top])
            elif code == SHEET:
                sheet(p, at, count, stack[top])
            elif code == COMB:
                comb(p, at, count, stack[top])
            else:
                storey(p, at, count, stack[top])
        elif code in (GROWN, SHELL, UNEVEN, INVERSE):
            alone(p, at, count, finest, texture, stack[top])
        else:
            top -= 1
            together(p, count, stack[top], stack[top + 1])


@compiled
def measure(rows: np.ndarray, at: np.ndarray, texture: Texture, out: np.ndarray) -> None:
    """Distance of one solid at any number of points."""
    stack, part = np.empty((DEPTH, BATCH), np.float32), np.empty((3, BATCH), np.float32)
    for start in range(0, len(out), BATCH):
        count = min(BATCH, len(out) - start)
        for n in range(count):
            part[0, n], part[1, n], part[2, n] = at[0, start + n], at[1, start + n], at[2, start + n]
        distances(rows, part, count, ZERO, texture, stack)
        for n in range(count):
            out[start + n] = stack[0, n]
