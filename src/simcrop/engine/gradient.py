"""Loss and gradient of a global batch, which may be cut into micro-batches and lie in several processes.

However it is cut, they are those of the whole to float tolerance: every mean is taken over all that counts in the
global batch, terms that compare samples compare all of them, and what is random belongs to a sample and not to its
company. Dropout in a trained text encoder is the exception: its numbers belong to a micro-batch.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from simcrop.engine.contrast import Parts, contrast, pulled
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.order import RankShare, step_seed
from simcrop.losses import Compared


class Gradient:
    """`half`: products in bf16."""

    def __init__(
        self,
        objective: nn.Module,
        wrapped: Any,
        share: RankShare,
        seed: int,
        half: bool,
        context: DistributedContext,
    ) -> None:
        self.objective: Any = objective
        self.wrapped: Any = wrapped
        # A module that is spread over processes has its own way to do it.
        self.pull: Callable[..., None] = getattr(wrapped, "backward", torch.autograd.backward)
        self.share, self.seed, self.half, self.context = share, seed, half, context
        self.weights: dict[str, float] = {name: term.weight for name, term in self.objective.terms.items()}
        # On the device from the start: what a step brings there from Python makes it wait for all it has to do.
        self.factors = torch.tensor(list(self.weights.values()), dtype=torch.float32, device=context.device)
        self.compares = any(term.compares_samples for term in self.objective.terms.values())

    def backward(self, step: int, micro: list[Any]) -> Tensor:
        """Add the gradient of this process's micro-batches; the loss of the global batch and its terms, as far as they
        come from here: their mean over processes is the whole.
        """
        micro = self.drawn(step, micro)
        shares = self.shares([self.objective.counts(batch) for batch in micro])
        terms, leaves = self.compared_first(step, micro) if len(micro) > 1 and self.compares else ({}, [])
        means = {name: torch.zeros((), device=self.context.device) for name in self.weights}
        for number, batch in enumerate(micro):
            waits = self.context.world > 1 and number + 1 < len(micro)
            with self.wrapped.no_sync() if waits else nullcontext():
                parts = self.forward(step, number, batch, self.wrapped)
                given = {name: part for name, part in parts.items() if isinstance(part, Compared)}
                if given and not leaves:
                    terms, leaves = contrast(self.objective, self.weights, [given], self.context)
                ends: list[tuple[Tensor, Tensor | None]] = []
                if given:
                    ends += pulled(given, leaves[number])
                for name, mean in parts.items():
                    if name not in given:
                        part = mean * shares[number][name]
                        means[name] += part.detach()
                        ends.append((part * self.weights[name], None))
                ends = [(end, gradient) for end, gradient in ends if end.requires_grad]
                self.pull([end for end, _ in ends], [gradient for _, gradient in ends])
        values = torch.stack([terms.get(name, means[name]).float() for name in self.weights])
        loss = (values * self.factors).sum()
        return torch.cat([loss[None], values])

    def drawn(self, step: int, micro: list[Any]) -> list[Any]:
        """The micro-batches with what is random about them."""
        seed, count = step_seed(self.seed, 2, step), len(micro)
        return [
            self.objective.draw(batch, seed, self.share.first(number, count))
            for number, batch in enumerate(micro)
        ]

    def shares(self, counts: list[dict[str, int]]) -> list[dict[str, float]]:
        """What each micro-batch's mean weighs in that of the global batch, term by term, times the number of processes,
        over which gradients and journal are averaged.
        """
        mine = [sum(of_one.get(name, 0) for of_one in counts) for name in self.weights]
        whole = dict(zip(self.weights, self.context.sum(mine), strict=True))
        world = self.context.world
        return [{name: n * world / max(whole[name], 1) for name, n in of_one.items()} for of_one in counts]

    def compared_first(self, step: int, micro: list[Any]) -> tuple[dict[str, Tensor], list[Parts]]:
        """A first look at all micro-batches, for what their samples have to be compared with."""
        with torch.no_grad():
            looks = [
                self.forward(step, number, batch, self.objective.compared)
                for number, batch in enumerate(micro)
            ]
        return contrast(self.objective, self.weights, looks, self.context)

    def forward(self, step: int, number: int, batch: Any, look: Callable[[Any], Any]) -> dict[str, Any]:
        """The terms of a micro-batch, in the precision of the run."""
        # Dropout asks the global generator: the same for both looks at a micro-batch.
        torch.manual_seed(step_seed(self.seed, 2, step, number, self.context.rank))
        device = self.context.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.half):
            return look(batch.to(device))
