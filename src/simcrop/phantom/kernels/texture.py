"""The unevenness of tissue: one smooth periodic pattern, of which each patient sees another part.

The tile is float32 `(z, y, x)`, about -1 to 1, a lattice of `TILE_MM`; wavelengths are 10 to 70 mm.
"""

from functools import cache

import numpy as np

from simcrop.phantom.kernels.carving import TILE, TILE_MM

SHORTEST_MM, LONGEST_MM = 10.0, 70.0


@cache
def texture_tile() -> np.ndarray:
    """White noise of a fixed seed, with only the waves of the wanted lengths left."""
    noise = np.random.default_rng(0).standard_normal((TILE, TILE, TILE))
    lines = np.fft.fftfreq(TILE, TILE_MM)
    per_mm = np.sqrt(lines[:, None, None] ** 2 + lines[:, None] ** 2 + np.fft.rfftfreq(TILE, TILE_MM) ** 2)
    kept = (per_mm > 1 / LONGEST_MM) & (per_mm < 1 / SHORTEST_MM)
    waves = np.fft.rfftn(noise) * np.where(kept, 1 / np.maximum(per_mm, 1e-6), 0)
    smooth = np.fft.irfftn(waves, noise.shape, axes=(0, 1, 2))
    return (0.5 * smooth / smooth.std()).astype(np.float32)
