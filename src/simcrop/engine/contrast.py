"""Terms that compare the samples of a global batch, which may lie in several micro-batches and processes.

What is to be compared is brought together, the term and its gradient are taken, and each micro-batch gets back the
gradient of what it gave, so that no part of the network is held for more than one micro-batch (after Gao et al.,
GradCache, 2021). The loss is that of the whole batch, however it is cut.

Axes: s text, b image, of a micro-batch or of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

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
        together = joined(mine, context)
        columns = [objective.scores(name, together._replace(images=part.images)) for part in mine]
        scores = context.gather(torch.cat(columns, dim=1), dim=1)
        term = objective.contrast(name, scores, together)
        if term.requires_grad:
            (term * weights[name]).backward()
        for key, tensor in together.learned.items():
            share = None if tensor.grad is None else tensor.grad / len(mine)
            for part in mine:  # each reaches every parameter: DDP waits for them in the last
                part.learned[key].grad = share
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


def joined(parts: Sequence[Compared], context: DistributedContext) -> Compared:
    """The texts of all micro-batches and processes, in the order of the global batch, each with the place of its image
    among all images; `images` are left to be asked one micro-batch after the other.
    """
    counts = [len(part.images) for part in parts]
    before = sum(context.counts(sum(counts))[: context.rank])
    places = []
    for part, count in zip(parts, counts, strict=True):
        places.append(part.image_index + before)
        before += count
    facts = {name: torch.cat([part.facts[name] for part in parts]) for name in parts[0].facts}
    return Compared(
        context.gather(torch.cat([part.texts for part in parts])),
        parts[0].images,
        context.gather(torch.cat(places)),
        {name: context.gather(rows) for name, rows in facts.items()},
        parts[0].learned,
    )


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
