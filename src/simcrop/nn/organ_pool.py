"""Organs as vectors: a learned query for each organ attends to the patches that the organ lies in (fVLM).

Axes: b study, o organ, h head, n patch, l layer, d features, f features of a head, x y z voxels.
"""

from collections.abc import Sequence

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from simcrop.nn.patch import PatchGrid
from simcrop.nn.transformer import check_heads, init_linear


class OrganPool(nn.Module):
    """Multi-head attention with one query per organ, which starts at zero: the mean of the organ's patches.

    With so few queries keys and values of single patches are never made: a query is taken back through the key's map
    and meets the features as they are, and the value's map is applied to what was pooled. The result is that of any
    multi-head attention; a bias of the keys would add the same to all patches, so there is none.
    """

    def __init__(self, width: int, organs: int, heads: int) -> None:
        super().__init__()
        check_heads("organs", width, heads)
        self.heads = heads
        self.organ_token = nn.Parameter(torch.zeros(organs, width))
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)
        self.apply(init_linear)

    def forward(
        self, layers: Sequence[Float[Tensor, "b n d"]], inside: Bool[Tensor, "b o n"]
    ) -> Float[Tensor, "b o d"]:
        """Over the patches `inside` each organ, those of every layer together; all patches where there is none."""
        inside = inside | ~inside.any(-1, keepdim=True)
        query = rearrange(self.query(self.organ_token), "o (h f) -> o h f", h=self.heads)
        key = rearrange(self.key.weight, "(h f) d -> h f d", h=self.heads)
        asked = einsum(query, key, "o h f, h f d -> o h d") / query.shape[-1] ** 0.5
        scores = [einsum(features, asked, "b n d, o h d -> b o h n") for features in layers]
        scores = torch.stack(scores, dim=3).float().masked_fill(~inside[:, :, None, None], float("-inf"))
        weights = scores.flatten(3).softmax(-1).view_as(scores).to(layers[0].dtype)
        pooled = torch.stack(
            [
                einsum(w, x, "b o h n, b n d -> b o h d")
                for w, x in zip(weights.unbind(3), layers, strict=True)
            ]
        ).sum(0)
        value = rearrange(self.value.weight, "(h f) d -> h f d", h=self.heads)
        heads = rearrange(einsum(pooled, value, "b o h d, h f d -> b o h f"), "b o h f -> b o (h f)")
        return self.out(heads + self.value.bias)


def organ_patches(organs: Int[Tensor, "b 1 x y z"], grid: PatchGrid, count: int) -> Bool[Tensor, "b o n"]:
    """Which patches each organ lies in with at least one voxel; organs count from 1, 0 is none."""
    voxels = grid.split(organs)
    found = torch.zeros(*voxels.shape[:2], count + 1, dtype=torch.bool, device=voxels.device)
    return rearrange(found.scatter(2, voxels, True)[..., 1:], "b n o -> b o n")


def intact_organs(organs: Int[Tensor, "b 1 x y z"], count: int) -> Bool[Tensor, "b o"]:
    """Which organs are there and touch no side of the volume."""
    sides = [organs.select(axis, end).flatten(1) for axis in (2, 3, 4) for end in (0, -1)]
    return among(organs.flatten(1), count) & ~among(torch.cat(sides, dim=1), count)


def among(numbers: Int[Tensor, "b n"], count: int) -> Bool[Tensor, "b o"]:
    """Which of the numbers from 1 to `count` are there."""
    found = torch.zeros(len(numbers), count + 1, dtype=torch.bool, device=numbers.device)
    return found.scatter(1, numbers, True)[:, 1:]
