"""The patches that a sentence is nearest to: their mean stands for its region, or how near they are (Eq. 2-3).

Axes: s sentence (of all reports of a batch, flat), b image, n patch, d features, k of the nearest.
"""

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding

from simcrop.losses.products import own_products, products


def nearest_patches(
    sentences: Float[Tensor, "s d"], patches: Float[Tensor, "s n d"], k: int
) -> Float[Tensor, "s d"]:
    """Average of the `k` patches with the largest dot product with each sentence (Eq. 2-3); a `k` above n means all.

    Which patches are chosen carries no gradient; their features do.
    """
    similarity = products(sentences, patches, "s d, s n d -> s n")
    chosen = similarity.topk(min(k, patches.shape[1])).indices
    return reduce(
        patches.gather(1, repeat(chosen, "s k -> s k d", d=patches.shape[-1])), "s k d -> s d", "mean"
    )


def nearest_patches_of(
    sentences: Float[Tensor, "s d"],
    patches: Float[Tensor, "b n d"],
    image_index: Int[Tensor, " s"],
    k: int,
    most: int | None = None,
) -> Float[Tensor, "s d"]:
    """`nearest_patches(sentences, patches[image_index], k)` without a copy of all patches for every sentence, and each
    sentence sought in its own image alone. `most`: no image has more sentences; known, a GPU need not be waited for.
    """
    patch_count = patches.shape[1]
    with torch.no_grad():
        similarity = own_products(sentences, patches, image_index, most)
        chosen = similarity.topk(min(k, patch_count)).indices
    # As an embedding, whose backward pass adds in one order on any number of threads; that of indexing does not.
    rows = chosen + image_index[:, None] * patch_count
    return reduce(embedding(rows, rearrange(patches, "b n d -> (b n) d")), "s k d -> s d", "mean")


def region_scores(
    sentences: Float[Tensor, "s d"],
    patches: Float[Tensor, "b n d"],
    k: int | Int[Tensor, " s"],
    most: int | None = None,
) -> Float[Tensor, "s b"]:
    """Mean of the `k` largest dot products of every sentence in every image; `k` of all, or one for each sentence.
    `most`: no `k` is larger; known, a GPU need not be waited for.
    """
    similarity = products(sentences, patches, "s d, b n d -> s b n")
    if isinstance(k, int):
        return similarity.topk(min(k, patches.shape[1])).values.mean(-1)
    if most is None:
        most = int(k.max()) if len(k) else 1
    largest = similarity.topk(min(most, patches.shape[1])).values
    counted = torch.arange(largest.shape[-1], device=k.device) < k[:, None, None]
    return (largest * counted).sum(-1) / counted.sum(-1)
