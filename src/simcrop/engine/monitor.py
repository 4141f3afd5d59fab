"""Metrics of a model in training, taken without a trace: how often, in which mode, with whose randomness.

No axes. What is measured is the caller's business; the figures go into the journal under `monitored`.
"""

from collections.abc import Callable

import torch
from torch import nn

from simcrop.engine.sharding import brought_together

# Named figures of the objective as it stands.
Monitor = Callable[[], dict[str, float]]


def monitored_steps(steps: int, times: int) -> set[int]:
    """After which of `steps` steps: evenly spread, the last one always, none when `times` is 0."""
    return {max(1, round(steps * i / times)) for i in range(1, times + 1)}


def monitored(objective: nn.Module, monitor: Monitor, device: torch.device) -> dict[str, float]:
    """The figures, taken in eval mode without gradients; the run goes on as if nothing had been measured."""
    devices = [device] if device.type == "cuda" else []
    training = objective.training
    objective.eval()
    with torch.random.fork_rng(devices), torch.no_grad(), brought_together(objective):
        figures = monitor()
    objective.train(training)
    return figures
