"""Texts of unlike lengths, run in a few groups of like length, so that little is computed on padding.

Axes: b text, t token (the real ones first, then padding), d features, e features that are made of them. Of 48 reports
of CT-RATE, padded to the longest, a third is padding; in four groups a tenth.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn.functional import pad

from simcrop.device import send

GROUPS = 4
WORTH = 0.9  # of the tokens, or fewer: else the texts are alike and stay together


def run_in_groups(
    run: Callable[[Tensor, Tensor], Tensor],
    texts: Shaped[Tensor, "b t *d"],
    mask: Bool[Tensor, "b t"],
    lengths: Sequence[int] = (),
) -> Float[Tensor, "b t e"]:
    """`run(texts, mask)` for a `run` that treats each text alone; what stands at padding is of no use.

    `lengths`: tokens of each text; where not known, the device is asked, and waited for.
    """
    known = lengths or mask.sum(1).tolist()
    groups = length_groups(known)
    longest = [known[group[-1]] for group in groups]
    sizes = [len(group) for group in groups]
    if sum(n * size for n, size in zip(longest, sizes, strict=True)) > WORTH * mask.numel():
        return run(texts, mask)
    order = send(torch.tensor([row for group in groups for row in group]), mask.device)
    pieces = zip(texts[order].split(sizes), mask[order].split(sizes), longest, strict=True)
    done = [pad(run(rows[:, :n], real[:, :n]), (0, 0, 0, mask.shape[1] - n)) for rows, real, n in pieces]
    return torch.cat(done)[order.argsort()]


def length_groups(lengths: Sequence[int], most: int = GROUPS) -> list[list[int]]:
    """Rows in rising order of length, in at most so many groups of about equally many tokens."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    *before, whole = accumulate((lengths[row] for row in order), initial=0)
    groups: dict[int, list[int]] = {}
    for row, tokens in zip(order, before, strict=True):
        groups.setdefault(min(most - 1, tokens * most // max(1, whole)), []).append(row)
    return list(groups.values())
