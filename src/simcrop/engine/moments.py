"""Tells a method when a step begins and when it has been taken, and how far the run is.

No axes. Nothing is kept: where a run stands follows from the number of its step, so that one that is continued is told
the same. A step that changes nothing, since its loss is not finite, begins and is not taken.
"""

from typing import Any

from torch import nn

from simcrop.engine.distributed import DistributedContext


class Moments:
    """`objective` may have `begins` and `ends`; `steps` of the run, `epochs` that they count as, though fewer."""

    def __init__(self, objective: nn.Module, steps: int, epochs: int, context: DistributedContext) -> None:
        self.begins: Any = getattr(objective, "begins", lambda *_: None)
        self.ends: Any = getattr(objective, "ends", lambda *_: None)
        self.steps, self.epochs, self.context = steps, epochs, context

    def begin(self, step: int) -> None:
        """Before the batch of the step numbered `step`, from 0, is looked at."""
        self.begins(self.epoch(step), self.epochs)

    def end(self, step: int) -> None:
        """After the optimiser has changed the weights."""
        self.ends(self.epoch(step), self.epochs, self.context.total)

    def epoch(self, step: int) -> float:
        """Epochs before this step, from 0 to all of them in a run that `optim.steps` cuts short, too."""
        return step / self.steps * self.epochs
