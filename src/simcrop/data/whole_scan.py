"""A whole scan resized to the network's input, whatever its voxels measure then: for encoders that learned so.

Axes: x right, y front, z up (RAS+) of the input. Each of its voxels is the mean of the stored voxels that it touches.
"""

import numpy as np
import torch
from jaxtyping import Float
from nibabel.orientations import inv_ornt_aff, io_orientation
from torch.nn.functional import interpolate

from simcrop.data.resampling.plan import Triple
from simcrop.data.volume import Volume


def resized(
    volume: Volume, shape: Triple, window_hu: tuple[float, float]
) -> tuple[Float[np.ndarray, "x y z"], tuple[float, float]]:
    """HU in that window, and the range of this scan's own values in it, which is 1 HU where it has one value."""
    hu = np.ascontiguousarray(volume.to_ras().hu, np.float32).clip(*window_hu)
    low, high = float(hu.min()), float(hu.max())
    small = interpolate(torch.from_numpy(hu)[None, None], shape, mode="area")[0, 0]
    return small.numpy(), (low, high if high > low else low + 1)


def resized_affine(shape: Triple, affine: np.ndarray, wanted: Triple) -> np.ndarray:
    """Voxel index of the input -> RAS+ mm, `(4, 4)`: edge to edge with a scan of that grid."""
    orientation = io_orientation(affine)
    lengths = [shape[int(axis)] for axis in np.argsort(orientation[:, 0])]
    step = np.divide(lengths, wanted)
    edge_to_edge = np.diag([*step, 1.0])
    edge_to_edge[:3, 3] = step / 2 - 0.5
    return affine @ inv_ornt_aff(orientation, shape) @ edge_to_edge
