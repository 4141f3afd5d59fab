"""Dot products of sentences and patches.

Axes: s sentence (of all reports of a batch, flat), b image, n patch, d features; m sentence of one image.
"""

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor


def products(a: Tensor, b: Tensor, axes: str) -> Tensor:
    """Dot products in the precision of their inputs: bf16 errors, divided by a temperature of 0.07, would show."""
    with torch.autocast(a.device.type, enabled=False):
        return einsum(a, b, axes)


def own_products(
    sentences: Float[Tensor, "s d"],
    patches: Float[Tensor, "b n d"],
    image_index: Int[Tensor, " s"],
    most: int | None = None,
) -> Float[Tensor, "s n"]:
    """Dot products of each sentence with the patches of its own image, `most` sentences an image, without a copy of all
    patches for every one of them.
    """
    own = image_index[:, None] == torch.arange(len(patches), device=image_index.device)
    place = own.cumsum(0).gather(1, image_index[:, None])[:, 0] - 1  # of a sentence among those of its image
    most = int(own.sum(0).max()) if most is None else most
    beside = sentences.new_zeros(len(patches), most, sentences.shape[1])
    beside = beside.index_put((image_index, place), sentences)
    return products(beside, patches, "b m d, b n d -> b m n")[image_index, place]
