"""What a UNETR decoder is made of: residual blocks of two convolutions, and steps that double a grid.

Axes: b batch, c channel, x y z voxels of a grid, i j k voxels that one becomes. The mathematics are those of MONAI's
UNETR; the order in memory is not: channels lie last, so that patches become a grid without a copy, what one voxel
becomes is one product of matrices, and so is a convolution of one voxel.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv3d, interpolate, linear

from simcrop.nn.normed import normed_relu
from simcrop.nn.patch import Triple


class ResidualBlock(nn.Module):
    """Two convolutions of 3 voxels, each normalised over its scan, around a shortcut that is normalised as well where
    it has to change the number of channels.
    """

    def __init__(self, have: int, made: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(have, made, 3, padding=1, bias=False)
        self.conv2 = nn.Conv3d(made, made, 3, padding=1, bias=False)
        self.conv3 = nn.Linear(have, made, bias=False) if have != made else None

    def forward(self, seen: Float[Tensor, "b have x y z"]) -> Float[Tensor, "b made x y z"]:
        shortcut = seen if self.conv3 is None else per_voxel(self.conv3, seen)
        inner = normed_relu(convolved(self.conv1, seen))
        return normed_relu(convolved(self.conv2, inner), shortcut, self.conv3 is not None)


class PlainBlock(nn.Module):
    """One convolution of 3 voxels instead."""

    def __init__(self, have: int, made: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(have, made, 3, padding=1, bias=False)

    def forward(self, seen: Float[Tensor, "b have x y z"]) -> Float[Tensor, "b made x y z"]:
        return normed_relu(convolved(self.conv1, seen))


class Grown(nn.ConvTranspose3d):
    """Each voxel becomes a box of `step` voxels: a transposed convolution whose boxes do not overlap."""

    def __init__(self, have: int, made: int, step: Triple) -> None:
        super().__init__(have, made, step, step, bias=False)

    def forward(self, seen: Float[Tensor, "b have x y z"]) -> Float[Tensor, "b made x2 y2 z2"]:  # type: ignore[override]
        i, j, k = self.kernel_size
        weight = rearrange(self.weight, "have made i j k -> (i j k made) have")
        boxes = linear(rearrange(seen, "b c x y z -> b x y z c"), weight)
        return rearrange(boxes, "b x y z (i j k c) -> b c (x i) (y j) (z k)", i=i, j=j, k=k)


class Interpolated(nn.Module):
    """The grid is interpolated, and a convolution of 3 voxels follows on the finer one."""

    def __init__(self, have: int, made: int, step: Triple) -> None:
        super().__init__()
        self.step = step
        self.conv = nn.Conv3d(have, made, 3, padding=1)

    def forward(self, seen: Float[Tensor, "b have x y z"]) -> Float[Tensor, "b made x2 y2 z2"]:
        size = tuple(n * s for n, s in zip(seen.shape[2:], self.step, strict=True))
        return convolved(self.conv, interpolate(seen, size, mode="trilinear"))


class Lift(nn.Module):
    """Features of patches brought to a finer grid, for the block there to read: one step, then a step and a residual
    block each time.
    """

    def __init__(self, have: int, made: int, steps: list[Triple]) -> None:
        super().__init__()
        self.first = Grown(have, made, steps[0])
        self.blocks = nn.ModuleList(
            nn.Sequential(Grown(made, made, step), ResidualBlock(made, made)) for step in steps[1:]
        )

    def forward(self, seen: Float[Tensor, "b have x y z"]) -> Float[Tensor, "b made x2 y2 z2"]:
        seen = self.first(seen)
        for block in self.blocks:
            seen = block(seen)
        return seen


class Merge(nn.Module):
    """What comes from below, one step finer, beside what was lifted to that grid."""

    def __init__(self, grow: nn.Module, made: int) -> None:
        super().__init__()
        self.grow = grow
        self.block = ResidualBlock(2 * made, made)

    def forward(
        self, below: Float[Tensor, "b have x y z"], beside: Float[Tensor, "b made x2 y2 z2"]
    ) -> Float[Tensor, "b made x2 y2 z2"]:
        return self.block(torch.cat([self.grow(below), beside], dim=1))


def convolved(layer: nn.Conv3d, seen: Float[Tensor, "b have x y z"]) -> Float[Tensor, "b made x y z"]:
    """Channels last, whatever order the weights are kept in."""
    weight = layer.weight.contiguous(memory_format=torch.channels_last_3d)
    return conv3d(seen, weight, layer.bias, padding=layer.padding)  # type: ignore[arg-type]


def per_voxel(layer: nn.Linear, seen: Float[Tensor, "b have x y z"]) -> Float[Tensor, "b made x y z"]:
    """A convolution of one voxel."""
    return rearrange(layer(rearrange(seen, "b c x y z -> b x y z c")), "b x y z c -> b c x y z")
