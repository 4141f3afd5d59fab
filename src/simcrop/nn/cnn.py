"""An encoder of convolutions that see across patches: halved until one feature vector is left per patch.

Axes: b batch, n patch, x y z voxels, d features. What a voxel shows is mixed with its surroundings from the first layer
on, so that patches cannot be hidden from each other.
"""

from collections.abc import Sequence
from itertools import pairwise

from einops import rearrange
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from simcrop.errors import SimcropError
from simcrop.nn.encoder import VisionEncoder, VisionFeatures
from simcrop.nn.masking import Mask
from simcrop.nn.patch import PatchGrid, Triple
from simcrop.settings import Settings

GROUPS = 4  # of the norms; every width is a multiple of it


class CnnSettings(Settings):
    """`dim`: features of a patch; each earlier stage has about half as many, `least` at least."""

    dim: int = Field(default=128, ge=GROUPS, multiple_of=GROUPS)
    least: int = Field(default=8, ge=GROUPS, multiple_of=GROUPS)

    def build(self, grid: PatchGrid) -> "Cnn":
        return Cnn(self, grid)


class Cnn(VisionEncoder):
    """Stages of a strided and a plain convolution, each normalised; as many as halve a patch to one voxel."""

    def __init__(self, settings: CnnSettings, grid: PatchGrid) -> None:
        super().__init__()
        strides = halvings(grid.patch)
        self.grid, self.width, self.layers = grid, settings.dim, len(strides)
        halved = (settings.dim >> left for left in reversed(range(len(strides))))
        widths = [max(settings.least, width // GROUPS * GROUPS) for width in halved]
        self.stages = nn.ModuleList(
            Stage(have, made, stride)
            for (have, made), stride in zip(pairwise([1, *widths]), strides, strict=True)
        )

    def tokens(
        self,
        volume: Float[Tensor, "b 1 x y z"],
        mask: Mask | None = None,
        skip_attention: bool = False,
        taps: Sequence[int] = (),
    ) -> VisionFeatures:
        if mask is not None or skip_attention:
            raise SimcropError("bad-setting", "a network of convolutions cannot hide patches from each other")
        if taps:
            raise SimcropError("bad-setting", "stages of a network of convolutions lie on grids of their own")
        for stage in self.stages:
            volume = stage(volume)
        return VisionFeatures(None, rearrange(volume, "b d x y z -> b (x y z) d"))


class Stage(nn.Module):
    """One halving."""

    def __init__(self, have: int, made: int, stride: Triple) -> None:
        super().__init__()
        self.halve = nn.Conv3d(have, made, 3, stride=stride, padding=1)
        self.look = nn.Conv3d(made, made, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, made) for _ in range(2))

    def forward(self, found: Tensor) -> Tensor:
        halved = gelu(self.norms[0](self.halve(found)))
        return halved + gelu(self.norms[1](self.look(halved)))


def halvings(patch: Triple) -> list[Triple]:
    """Strides whose product is the patch, `(16, 16, 8)` -> `[(2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 1)]`."""
    left, strides = patch, []
    while max(left) > 1:
        if any(side > 1 and side % 2 for side in left):
            raise SimcropError("bad-setting", f"a patch of {patch} voxels cannot be halved down to one voxel")
        x, y, z = (2 if side > 1 else 1 for side in left)
        strides.append((x, y, z))
        left = (left[0] // x, left[1] // y, left[2] // z)
    return strides
