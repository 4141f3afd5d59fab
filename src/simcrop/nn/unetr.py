"""UNETR: the layers of an encoder of patches become a map of classes for each voxel (Hatamizadeh et al., 2022).

Axes: b batch, n patch, d features, c class (0 is everything that has no name), x y z voxels. Each layer that is tapped
is lifted to a finer grid; the deepest stays on that of the patches, and from there the others are joined one by one.
"""

from itertools import zip_longest
from typing import Literal

from einops import einsum, rearrange
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.nn.encoder import VisionEncoder, VisionFeatures
from simcrop.nn.patch import PatchGrid, Triple
from simcrop.nn.unet_blocks import Grown, Interpolated, Lift, Merge, PlainBlock, ResidualBlock
from simcrop.settings import Settings


class UnetrSettings(Settings):
    """`feature_size`: channels at full size; each halving doubles them. `taps`: layers of the encoder, from 1, as many
    as a patch takes steps to its voxels; none: evenly spaced, such as 2, 4, 6, 8 of 8, or 3, 6, 9, 12 of 12 (there the
    paper's public code has 4, 7, 10, 12). The last layer's is taken after the encoder's norm. `upsample`: the last step
    to full size, `interpolated` as in that code, or `transposed`, as all others are, for less time. `stem`: what meets
    the scan itself at full size, a `residual` block or a single `convolution`.
    """

    feature_size: int = Field(default=16, ge=1)
    taps: tuple[PositiveInt, ...] = ()
    upsample: Literal["interpolated", "transposed"] = "interpolated"
    stem: Literal["residual", "convolution"] = "residual"

    def tapped(self, layers: int, patch: Triple) -> tuple[int, ...]:
        """Which of so many layers are tapped."""
        steps = len(steps_of(patch))
        taps = self.taps or tuple(max(1, round(layers * i / steps)) for i in range(1, steps + 1))
        if len(taps) != steps or list(taps) != sorted(taps) or taps[-1] > layers:
            raise SimcropError(
                "bad-setting",
                f"decoder.taps = {list(taps)}: patches of {patch} voxels need {steps} layers in their order, "
                f"of the encoder's {layers}",
            )
        return taps


class UnetrDecoder(nn.Module):
    """From tapped features `width` wide to logits, of `classes` named ones and of everything else."""

    def __init__(self, settings: UnetrSettings, grid: PatchGrid, width: int, classes: int) -> None:
        super().__init__()
        self.grid = grid
        steps = steps_of(grid.patch)
        widths = [settings.feature_size << left for left in reversed(range(len(steps)))]
        stem = ResidualBlock if settings.stem == "residual" else PlainBlock
        self.stem = stem(1, settings.feature_size)
        # The deepest first, as they are met on the way up.
        self.lifts = nn.ModuleList(Lift(width, made, steps[: i + 1]) for i, made in enumerate(widths[:-1]))
        self.merges = nn.ModuleList()
        for i, (step, made) in enumerate(zip(steps, widths, strict=True)):
            last = i + 1 == len(steps) and settings.upsample == "interpolated"
            below = widths[i - 1] if i else width
            self.merges.append(Merge((Interpolated if last else Grown)(below, made, step), made))
        self.out = nn.Linear(settings.feature_size, 1 + classes)

    def forward(
        self, volume: Float[Tensor, "b 1 x y z"], taps: tuple[Float[Tensor, "b n d"], ...]
    ) -> Float[Tensor, "b c x y z"]:
        """`taps`: the shallowest first."""
        gx, gy, gz = self.grid.shape
        # Features lie last already, which is the order in memory that everything here works in: no copy.
        *upper, deepest = (rearrange(tap, "b (x y z) d -> b d x y z", x=gx, y=gy, z=gz) for tap in taps)
        beside = [lift(tap) for lift, tap in zip(self.lifts, reversed(upper), strict=True)]
        seen = deepest
        for merge, finer in zip(self.merges, [*beside, self.stem(volume)], strict=True):
            seen = merge(seen, finer)
        # Classes first, as whoever compares them wants to have them.
        logits = einsum(self.out.weight, rearrange(seen, "b f x y z -> b (x y z) f"), "c f, b n f -> b c n")
        x, y, z = seen.shape[2:]
        return rearrange(logits + self.out.bias[:, None], "b c (x y z) -> b c x y z", x=x, y=y, z=z)


def steps_of(patch: Triple) -> list[Triple]:
    """From one voxel per patch to all of them, coarse to fine: each axis grows by its prime factors and then stays, so
    that `(16, 16, 8)` takes three steps of `(2, 2, 2)` and one of `(2, 2, 1)`.
    """
    factors = [prime_factors(edge) for edge in patch]
    if not any(factors):
        raise SimcropError(
            "bad-setting", f"input.patch = {list(patch)}: a patch of one voxel leaves UNETR no step"
        )
    return [(x, y, z) for x, y, z in zip_longest(*factors, fillvalue=1)]


def prime_factors(number: int) -> list[int]:
    """The smallest first."""
    for factor in range(2, number + 1):
        if number % factor == 0:
            return [factor, *prime_factors(number // factor)]
    return []


def tap(
    vision: VisionEncoder, volume: Float[Tensor, "b 1 x y z"], taps: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """The tapped features of a volume; those of the last layer after the encoder's norm."""
    inner = tuple(layer for layer in taps if layer < vision.layers)
    features: VisionFeatures = vision(volume, taps=inner)
    return (*features.taps, features.patches) if len(inner) < len(taps) else features.taps
