"""A whole scan resized to the network's input, whatever its voxels measure then: for encoders that learned so.

Axes: x right, y front, z up (RAS+) of the input. Each of its voxels is the mean of the stored voxels that it touches.
"""

import numpy as np
import torch
from jaxtyping import Float
from nibabel.orientations import inv_ornt_aff, io_orientation
from torch import Tensor
from torch.nn.functional import interpolate

from simcrop.data.preprocess import InputSpec, Placement, Triple, to_unit
from simcrop.data.volume import Volume


def resized(volume: Volume, spec: InputSpec) -> Float[Tensor, "x y z"]:
    """In [-1, 1]: the window, or with `minmax` the range of this scan's own values in it; a scan of one value is -1."""
    hu = np.ascontiguousarray(volume.to_ras().hu, np.float32).clip(*spec.window_hu)
    low, high = spec.window_hu
    if spec.scale == "minmax":
        low, high = float(hu.min()), float(hu.max())
    small = interpolate(torch.from_numpy(hu)[None, None], spec.shape, mode="area")[0, 0]
    return torch.from_numpy(to_unit(small.numpy(), (low, high if high > low else low + 1)))


def resized_placement(
    shape: Triple, affine: np.ndarray, spec: InputSpec, source: tuple[Triple, np.ndarray] | None = None
) -> Placement:
    """Where the input lies in a scan of that grid: edge to edge. `source`: shape and affine of the scan's own file,
    when the grid that was resized is another, such as a cohort's.
    """
    orientation = io_orientation(affine)
    lengths = [shape[int(axis)] for axis in np.argsort(orientation[:, 0])]
    step = np.divide(lengths, spec.shape)
    edge_to_edge = np.diag([*step, 1.0])
    edge_to_edge[:3, 3] = step / 2 - 0.5
    placed = affine @ inv_ornt_aff(orientation, shape) @ edge_to_edge
    source_shape, source_affine = source or (shape, affine)
    return Placement(spec, source_shape, source_affine, spec.shape, placed, (0, 0, 0))
