"""A few convolutions inside each patch, never across its border: what is hidden stays hidden, and only visible patches
are computed. A small dense thing is kept by a maximum that one linear map of all voxels averages away. Our extension.

Axes: b batch, v visible patches, p voxel of a patch, w window, d features.
"""

from itertools import pairwise

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from simcrop.nn.patch import Triple

# After the first and the second convolution, each of which halves the patch along every axis.
CHANNELS = (16, 32)


class ConvStem(nn.Module):
    """Patches as tokens by small convolutions, whose features are pooled over the patch by maximum and by mean."""

    def __init__(self, patch: Triple, windows: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.convolutions = nn.ModuleList(
            nn.Conv3d(have, made, 3, stride=2, padding=1) for have, made in pairwise((windows, *CHANNELS))
        )
        self.out = nn.Linear(2 * CHANNELS[-1], width)

    def forward(self, seen: Float[Tensor, "b v w p"]) -> Float[Tensor, "b v d"]:
        """`seen`: the patch in each window of density."""
        px, py, pz = self.patch
        boxes = rearrange(seen, "b v w (px py pz) -> (b v) w px py pz", px=px, py=py, pz=pz)
        for convolution in self.convolutions:
            boxes = gelu(convolution(boxes))
        pooled = torch.cat(
            [reduce(boxes, "n c x y z -> n c", "max"), reduce(boxes, "n c x y z -> n c", "mean")], dim=-1
        )
        return self.out(rearrange(pooled, "(b v) c -> b v c", b=seen.shape[0]))
