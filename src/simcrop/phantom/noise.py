"""The noise of a scanner: strong in small voxels, smooth or grainy by the reconstruction kernel.

Volumes are `(z, y, x)` HU. A drawn tile is laid over each slice at a random place, which costs little and repeats
nowhere that an eye would find it.
"""

from typing import Literal

import numpy as np

from simcrop.phantom.grid import Grid
from simcrop.phantom.kernels.compiled import compiled

Kernel = Literal["soft", "sharp"]
FINEST_VOXEL_MM3 = 0.54
NOISE_HU: dict[Kernel, float] = {"soft": 17.0, "sharp": 34.0}  # in the finest voxels
LEAST_HU = 4.0
SHARPENING: dict[Kernel, float] = {"soft": -0.3, "sharp": 0.35}  # of an edge, in fine voxels
TILES, TILE_WIDTH = 6, 288
LOWEST_HU, HIGHEST_HU = -1024, 3071


def add_noise(
    hu: np.ndarray, grid: Grid, rng: np.random.Generator, kernel: Kernel = "sharp", level: float = 1.0
) -> np.ndarray:
    """The scan as int16, `level` times as noisy as usual."""
    volume = float(np.prod(grid.spacing_mm))
    sigma = level * max(NOISE_HU[kernel] * (FINEST_VOXEL_MM3 / volume) ** 0.5, LEAST_HU)
    fine = min(1.0, (0.7 / min(grid.spacing_mm[:2])) ** 2)
    tiles = draw_tiles(rng, min(TILE_WIDTH, 2 * max(grid.shape[:2])), kernel, fine) * np.float32(sigma)
    places = rng.integers(0, (len(tiles), *tiles.shape[1:]), size=(len(hu), 3))
    noisy = np.empty(hu.shape, np.int16)
    lay(hu, tiles, places, brightness(grid), np.float32(SHARPENING[kernel] * fine), noisy)
    return noisy


def draw_tiles(rng: np.random.Generator, width: int, kernel: Kernel, fine: float) -> np.ndarray:
    """Noise of deviation 1, float32 `(n, y, x)`: neighbours alike under a soft kernel, opposed under a sharp one."""
    tiles = rng.standard_normal((TILES, width, width), dtype=np.float32)
    share = np.float32(fine * (0.55 if kernel == "soft" else 0.12))
    for axis in (1, 2):
        tiles += share * (np.roll(tiles, 1, axis) + np.roll(tiles, -1, axis))
    if kernel == "sharp":
        around = sum(
            np.roll(tiles, (step, side), (1, 2)) for step, side in ((2, 0), (-2, 0), (0, 2), (0, -2))
        )
        tiles -= np.float32(0.15 * fine) * around
    return tiles / tiles.std()


def brightness(grid: Grid) -> np.ndarray:
    """Share of the noise at each voxel `(y, x)`: most in the middle, which the fewest rays leave."""
    x, y = ((np.arange(n) / (n - 1) - 0.5) * 2 for n in grid.shape[:2])
    return (1.12 - 0.5 * np.minimum(x[None, :] ** 2 + y[:, None] ** 2, 1)).astype(np.float32)


@compiled
def lay(
    hu: np.ndarray,
    tiles: np.ndarray,
    places: np.ndarray,
    share: np.ndarray,
    sharpening: float,
    noisy: np.ndarray,
) -> None:
    """Sharpen or smooth each slice a little, add the noise of its place, and round."""
    many, rows, columns = hu.shape
    width, quarter, one = tiles.shape[1], np.float32(0.25), np.float32(1)
    low, high = np.float32(LOWEST_HU), np.float32(HIGHEST_HU)
    line, here = np.empty(columns, np.float32), np.empty(columns + 2, np.float32)
    for z in range(many):
        tile, top, left = tiles[places[z, 0]], places[z, 1], places[z, 2]
        for y in range(rows):
            patch, x = tile[(top + y) % width], 0
            while x < columns:
                start = (left + x) % width
                run = min(width - start, columns - x)
                for n in range(run):
                    line[x + n] = patch[start + n]
                x += run
            for x in range(columns):
                here[x + 1] = hu[z, y, x]
            here[0], here[-1] = here[1], here[-2]
            above, below, out = hu[z, max(y - 1, 0)], hu[z, min(y + 1, rows - 1)], noisy[z, y]
            for x in range(columns):
                around = (np.float32(above[x]) + np.float32(below[x])) + (here[x] + here[x + 2])
                value = here[x + 1] * (one + sharpening) - quarter * sharpening * around
                value += line[x] * share[y, x]
                out[x] = np.int16(np.rint(min(max(value, low), high)))
