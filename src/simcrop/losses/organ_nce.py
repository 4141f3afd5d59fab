"""Organs and their texts find each other, organ by organ (fVLM).

Axes: s an organ of a study (of all studies of a batch, flat).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def organ_nce(
    logits: Float[Tensor, "s s"],
    organ: Int[Tensor, " s"],
    text: Int[Tensor, " s"],
    normal: Bool[Tensor, " s"],
    intact: Bool[Tensor, " s"],
    organs: int,
) -> Float[Tensor, ""]:
    """Each organ of an image must find its text among those of the same organ in the batch, and each text its organ;
    the mean of both directions and of the studies, summed over organs (fVLM).

    `logits`: of text i and the image of text j. Only `intact` organs are compared. Targets are soft: of two normal
    organs, or equal texts (`text`: the same number), each is as right for the other as its own. An organ counts if it
    is abnormal in some study, and if there is anything to tell apart. A batch without one gives a 0 with a gradient.
    """
    same = (organ[:, None] == organ) & intact[:, None] & intact
    itself = torch.eye(len(organ), dtype=torch.bool, device=logits.device)
    alike = (normal[:, None] & normal) | (text[:, None] == text)
    positive = (same & alike).float()
    target = positive / positive.sum(1, keepdim=True).clamp(min=1)
    seen = logits.float().masked_fill(~(same | itself), float("-inf"))
    chance = [side.log_softmax(1).masked_fill(~same, 0.0) for side in (seen, seen.T)]
    cost = -(target * (chance[0] + chance[1])).sum(1) / 2

    mine = (organ[:, None] == torch.arange(organs, device=organ.device)) & intact[:, None]
    told_apart = (same & ~alike).any(1)
    counts = (mine & ~normal[:, None]).any(0) & (mine & told_apart[:, None]).any(0)
    mean = (cost[:, None] * mine).sum(0) / mine.sum(0).clamp(min=1)
    return (mean * counts).sum()
