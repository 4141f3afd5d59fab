"""The inner loop of windowing, as machine code: one pass over the voxels, a quarter of the time of numpy's four.

Values in HU come out in [-1, 1], float32.
"""

import numpy as np

from simcrop.jit import compiled


@compiled
def scale_and_clip(hu: np.ndarray, slope: np.float32, shift: np.float32, out: np.ndarray) -> None:
    """`out = clip(slope * hu + shift, -1, 1)`, both of one axis."""
    for i in range(out.size):
        scaled = np.float32(hu[i]) * slope + shift
        out[i] = min(max(scaled, np.float32(-1)), np.float32(1))
