"""A sentence finds its own image among those of the batch: our extension, not in the paper.

Axes: s sentence (of all reports of a batch, flat), b image.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid


def says_same(
    image_index: Int[Tensor, " s"], sentence_id: Int[Tensor, " s"], images: int
) -> tuple[Bool[Tensor, "s b"], Bool[Tensor, "s b"]]:
    """Whose image each sentence belongs to, and whose report says it, too: no image to tell it from."""
    own = image_index[:, None] == torch.arange(images, device=image_index.device)[None, :]
    return own, (sentence_id[:, None] == sentence_id[None, :]).float() @ own.float() > 0


def cross_image_nce(
    scores: Float[Tensor, "s b"],
    image_index: Int[Tensor, " s"],
    sentence_id: Int[Tensor, " s"],
    discriminative: Bool[Tensor, " s"],
    temperature: float = 0.07,
    both: bool = False,
) -> Float[Tensor, ""]:
    """Each sentence must find its own image among those of the batch. Our extension, not in the paper.

    `image_index`: number of the sentence's own image; `sentence_id`: equal for equal sentences, so that another image
    whose report says the same is left out; `discriminative`: sentences rare enough to tell images apart. A batch
    without a comparison gives a 0 that can be back-propagated.

    `both`: half of it the other way round: each image must find its sentences, one at a time, among those that other
    reports say and its own does not (after RadZero).
    """
    own, same = says_same(image_index, sentence_id, scores.shape[1])
    logits = scores.float() / temperature
    cost = cross_entropy(logits.masked_fill(same & ~own, float("-inf")), image_index, reduction="none")
    counts = discriminative & (~same).any(1)
    sentence_finds = (cost * counts).sum() / counts.sum().clamp(min=1)
    if not both:
        return sentence_finds
    itself = torch.eye(len(image_index), dtype=torch.bool, device=scores.device)
    others = (~same & discriminative[:, None]).T[image_index]  # what each sentence's image must be told from
    asked = logits.T[image_index].masked_fill(~(others | itself), float("-inf"))
    cost = cross_entropy(asked, torch.arange(len(image_index), device=scores.device), reduction="none")
    counts = discriminative & others.any(1)
    return (sentence_finds + (cost * counts).sum() / counts.sum().clamp(min=1)) / 2


def cross_image_sigmoid(
    scores: Float[Tensor, "s b"],
    image_index: Int[Tensor, " s"],
    sentence_id: Int[Tensor, " s"],
    discriminative: Bool[Tensor, " s"],
    log_scale: Float[Tensor, ""],
    bias: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """The same question asked of each pair alone: does this sentence belong to this image (SigLIP)? Summed over the
    images, averaged over the sentences.
    """
    own, same = says_same(image_index, sentence_id, scores.shape[1])
    logits = scores.float() * log_scale.exp() + bias
    cost = -logsigmoid(torch.where(own, logits, -logits))
    counts = discriminative & (~same).any(1)
    return ((cost * (own | ~same)).sum(1) * counts).sum() / counts.sum().clamp(min=1)
