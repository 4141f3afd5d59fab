"""Terms that compare the samples of a global batch, which may lie in several micro-batches and processes.

What is to be compared is brought together, the term and its gradient are taken, and each micro-batch gets back the
gradient of what it gave, so that no part of the network is held for more than one micro-batch (after Gao et al.,
GradCache, 2021). The loss is that of the whole batch, however it is cut.

Axes: s text, b image, of a micro-batch or of all; t word piece, d features.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from simcrop.engine.distributed import DistributedContext
from simcrop.losses import Compared

Parts = Mapping[str, Compared]  # of one micro-batch, by term


def contrast(
    objective: Any, weights: Mapping[str, float], parts: Sequence[Parts], context: DistributedContext
) -> tuple[dict[str, Tensor], list[Parts]]:
    """Each term, and for every micro-batch what it gave with its gradient in `.grad`: that of the weighted terms, times
    the number of processes, over which gradients are averaged later.
    """
    leaves: list[Parts] = [{name: as_leaves(part) for name, part in of_one.items()} for of_one in parts]
    terms = {}
    for name in parts[0]:
        mine = [of_one[name] for of_one in leaves]
        firsts = places(mine, context)
        together = joined(mine, firsts, context)
        columns = [
            objective.scores(name, together._replace(images=part.images, first=first))
            for part, first in zip(mine, firsts, strict=True)
        ]
        scores = context.gather(torch.cat(columns, dim=1), dim=1)
        term = objective.contrast(name, scores, together)
        if term.requires_grad:
            (term * weights[name]).backward()
        for key, tensor in together.learned.items():
            # The last micro-batch brings it alone: DDP waits for it there, and what shares its memory is used but once.
            found, tensor.grad = tensor.grad, None
            mine[-1].learned[key].grad = found
        terms[name] = term.detach()
    return terms, leaves


def as_leaves(part: Compared) -> Compared:
    """The same numbers, at which a gradient stops."""
    return part._replace(
        texts=leaf(part.texts),
        images=leaf(part.images),
        learned={name: leaf(tensor) for name, tensor in part.learned.items()},
    )


def leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_()


def places(parts: Sequence[Compared], context: DistributedContext) -> list[int]:
    """Where the first image of each micro-batch stands among all images."""
    counts = [len(part.images) for part in parts]
    before = sum(context.counts(sum(counts))[: context.rank])
    return list(accumulate(counts[:-1], initial=before))


def joined(parts: Sequence[Compared], firsts: Sequence[int], context: DistributedContext) -> Compared:
    """The texts of all micro-batches and processes, in the order of the global batch, each with the place of its image
    among all images; `images` are left to be asked one micro-batch after the other.
    """
    image_index = [part.image_index + first for part, first in zip(parts, firsts, strict=True)]
    facts = {name: torch.cat([part.facts[name] for part in parts]) for name in parts[0].facts}
    return Compared(
        context.gather(torch.cat(as_long([part.texts for part in parts], context))),
        parts[0].images,
        context.gather(torch.cat(image_index)),
        {name: context.gather(rows) for name, rows in facts.items()},
        parts[0].learned,
    )


def as_long(texts: Sequence[Tensor], context: DistributedContext) -> list[Tensor]:
    """Texts of one vector each as they are; those of several, `(s, t, d)`, with zeros up to the longest anywhere."""
    if texts[0].ndim < 3:
        return list(texts)
    longest = max(context.counts(max(text.shape[1] for text in texts)))
    return [pad(text, (0, 0, 0, longest - text.shape[1])) for text in texts]


def pulled(given: Parts, leaves: Parts) -> list[tuple[Tensor, Tensor | None]]:
    """What a micro-batch gave, and the gradient that `contrast` found for it."""
    return [
        (tensor, found.grad)
        for name, part in given.items()
        for tensor, found in zip(tensors_of(part), tensors_of(leaves[name]), strict=True)
        if found.grad is not None
    ]


def tensors_of(part: Compared) -> list[Tensor]:
    return [part.texts, part.images, *part.learned.values()]
