"""What two choices are worth: batches that a card fetches by itself, and activations that are computed a second time.

Seconds, ratios and GiB. What only a card can tell is not measured without one, and the report says so.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from simcrop.config import Recipe
from simcrop.nn.transformer import Transformer
from step_parts.clock import Clock, ratio
from step_parts.run import ours
from step_parts.sample import Setup
from step_parts.travel import hu_batch

NOT_MEASURED = "not measured: no CUDA device"


def copies(recipe: Recipe, repeats: int, clock: Clock) -> dict[str, Any] | str:
    """A batch on its way to the card: from memory that must be copied first and waited for, or pinned and not."""
    device = clock.device
    if device.type != "cuda":
        return NOT_MEASURED
    pageable = hu_batch(recipe)
    pinned = pageable.pin_memory()
    calls = {
        "naive": lambda: pageable.each(lambda tensor: tensor.to(device)),
        "ours": lambda: pinned.each(lambda tensor: tensor.to(device, non_blocking=True)),
    }
    seconds = clock.interleaved(calls, repeats, warm_up=2)
    found = {f"{name}_ms": round(median(each) * 1e3, 3) for name, each in seconds.items()}
    return {**found, **ratio(seconds["naive"], seconds["ours"])}


def recompute(setup: Setup, precision: str, repeats: int, clock: Clock) -> dict[str, Any]:
    """Our step with `engine.recompute` beside ours without: what it costs in time and saves in memory."""
    step = ours(setup, precision)
    layers = [module for module in setup.objective.modules() if isinstance(module, Transformer)]

    def stepping(again: bool) -> Callable[[], float]:
        def run() -> float:
            for one in layers:
                one.recompute = again
            return step()

        return run

    calls = {"kept": stepping(False), "recomputed": stepping(True)}
    seconds = clock.interleaved(calls, repeats)
    cuda = clock.device.type == "cuda"
    peaks = {name: peak_gib(call, clock.device) for name, call in calls.items()} if cuda else NOT_MEASURED
    for one in layers:
        one.recompute = False
    return {
        "seconds": {name: round(median(each), 4) for name, each in seconds.items()},
        "recomputed_over_kept": ratio(seconds["recomputed"], seconds["kept"]),
        "peak_gib": peaks,
    }


def peak_gib(call: Callable[[], object], device: torch.device) -> float:
    """Of tensors on a card, while the call lasts."""
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return round(torch.cuda.max_memory_allocated(device) / 2**30, 3)
