"""Which patches the encoder sees, and which ones the vision decoder must reconstruct.

Axes: b batch, n all patches, v visible patches, m masked patches, d features.
"""

from dataclasses import dataclass
from math import prod

import torch
from einops import repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Mask:
    """`keep`: numbers of the visible patches in rising order; `masked`: true where a patch is not visible."""

    keep: Int[Tensor, "b v"]
    masked: Bool[Tensor, "b n"]

    def take_visible(self, patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b v d"]:
        """Only the patches that the encoder may see."""
        return take(patches, self.keep)

    def take_masked(self, patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b m d"]:
        """Only the patches that must be reconstructed, in rising order."""
        # A stable sort and not `nonzero`: equally many are masked in every sample, and a GPU need not be waited for.
        count = self.masked.shape[1] - self.keep.shape[1]
        index = self.masked.byte().argsort(dim=1, descending=True, stable=True)[:, :count]
        return take(patches, index)

    def restore(self, visible: Float[Tensor, "b v d"], token: Float[Tensor, " d"]) -> Float[Tensor, "b n d"]:
        """The whole grid again: visible features in their places, `token` everywhere else."""
        full = repeat(token, "d -> b n d", b=visible.shape[0], n=self.masked.shape[1]).to(visible.dtype)
        return full.scatter(1, repeat(self.keep, "b v -> b v d", d=visible.shape[-1]), visible)


def take(patches: Float[Tensor, "b n d"], index: Int[Tensor, "b v"]) -> Float[Tensor, "b v d"]:
    """Of each sample the patches of these numbers. What is not learned is copied patch by patch, in half the time of
    number by number.
    """
    if patches.requires_grad:
        return patches.gather(1, repeat(index, "b v -> b v d", d=patches.shape[-1]))
    b, n, _ = patches.shape
    rows = index + n * torch.arange(b, device=index.device)[:, None]
    return patches.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, index.shape)


def visible_count(count: int, ratio: float) -> int:
    """How many of `count` patches stay visible when `ratio` of them is masked: int(n * (1 - ratio)), at least 1."""
    # 1000 * (1 - 0.9) is 99.99... in binary: a whole number that is missed by rounding counts as reached.
    return max(1, int(count * (1 - ratio) + 1e-6))


def random_mask(
    noise: Float[Tensor, "b n"], ratio: float, preferred: Bool[Tensor, "b n"] | None = None
) -> Mask:
    """Mask `ratio` of the patches of each sample: those with the largest `noise`, which is drawn from [0, 1) for each
    independently (section 2.1, following MAE).

    `preferred` patches are kept before any other, so that visible tokens are not spent on air.
    """
    if preferred is not None:
        noise = noise + (~preferred).to(noise.dtype)
    keep = noise.topk(visible_count(noise.shape[1], ratio), largest=False).indices.sort().values
    masked = torch.ones(noise.shape, dtype=torch.bool, device=noise.device).scatter(1, keep, False)
    return Mask(keep, masked)


def box_mask(shape: Triple, size: Triple, corner: Int[Tensor, "b 3"]) -> Mask:
    """Of a grid of `shape` the encoder sees a box of `size` patches, which begins in each sample at its `corner`."""
    (_, gy, gz), (x, y, z) = shape, size
    numbers = torch.arange(prod(shape), device=corner.device).view(shape)
    first = (corner[:, 0] * gy + corner[:, 1]) * gz + corner[:, 2]
    keep = first[:, None] + numbers[:x, :y, :z].flatten()
    masked = torch.ones(len(corner), numbers.numel(), dtype=torch.bool, device=corner.device)
    return Mask(keep, masked.scatter(1, keep, False))
