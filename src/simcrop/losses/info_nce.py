"""Regions and sentences of a report find each other (Eq. 4).

Axes: s sentence (of all reports of a batch, flat), d features.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from simcrop.losses.products import products


def info_nce(
    regions: Float[Tensor, "s d"],
    sentences: Float[Tensor, "s d"],
    image_index: Int[Tensor, " s"],
    temperature: float = 0.07,
    l2: bool = True,
) -> Float[Tensor, ""]:
    """Region to sentence and sentence to region within each report, both directions summed (Eq. 4).

    The mean over sentences of a report, then over reports with two sentences or more. A batch without such a report
    gives a 0 that can be back-propagated. `l2` normalises both sides first; the paper does not say.
    """
    if l2:
        regions, sentences = normalize(regions, dim=-1), normalize(sentences, dim=-1)
    return paired_nce(products(regions, sentences, "i d, j d -> i j").float() / temperature, image_index)


def paired_nce(logits: Float[Tensor, "s s"], image_index: Int[Tensor, " s"]) -> Float[Tensor, ""]:
    """Each row must find its own column among those of its image, and each column its row: what `info_nce` makes of
    similarities divided by the temperature.
    """
    same_report = image_index[:, None] == image_index[None, :]
    logits = logits.masked_fill(~same_report, float("-inf"))
    target = torch.arange(len(image_index), device=image_index.device)
    # A sentence alone in its report meets only itself and costs exactly 0 in both directions.
    cost = cross_entropy(logits, target, reduction="none") + cross_entropy(logits.T, target, reduction="none")
    size = same_report.sum(1)
    counts = size >= 2
    # One for each report that counts; where none does, the sum above it is 0, and so is its gradient.
    reports = (counts / size).sum().clamp(min=0.5)
    return (cost * counts / size).sum() / reports
