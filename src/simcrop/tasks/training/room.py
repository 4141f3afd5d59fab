"""Whether a training finds the memory that its step needs. In bytes, said in GB of 10^9."""

import torch

from simcrop.config import Recipe
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.job import share_of
from simcrop.tasks.doctor_facts import memory, memory_left
from simcrop.tasks.training.cost import Cost


def room_words(recipe: Recipe, context: DistributedContext, cost: Cost) -> str:
    """What to set where a step needs more than is free, by a count that is a lower bound; nothing where it fits, or
    where nobody can tell.
    """
    try:
        free = free_bytes(context.device)
    except Exception:  # noqa: BLE001, a system without such figures: no reason to end a run
        return ""
    each = recipe.optim.batch // context.world
    at_once = share_of(recipe.optim, recipe.engine, context).micro
    if cost.bytes_of_batch(at_once) <= free:
        return ""
    fits = max((n for n in range(1, at_once) if each % n == 0 and cost.bytes_of_batch(n) <= free), default=0)
    advice = f"set engine.micro_batch={fits}" if fits else "this recipe is too large for this machine"
    return (
        f"a step of {at_once} scans at once needs {cost.bytes_of_batch(at_once) / 1e9:.0f} GB at least, and "
        f"{free / 1e9:.0f} GB are free: {advice}"
    )


def free_bytes(device: torch.device) -> int:
    """Of the card, or of what this process may use of the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    _, free = memory()
    left = memory_left()
    return free if left is None else min(free, left)
