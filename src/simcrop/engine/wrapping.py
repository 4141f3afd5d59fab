"""A module whose gradients are averaged over all processes, whole in each or spread over them. No axes or units."""

from inspect import signature
from typing import Any

from torch import nn

from simcrop.engine.distributed import DistributedContext, Sharding
from simcrop.engine.sharding import spread


def wrap(
    module: nn.Module, context: DistributedContext, may_skip: bool = False, sharding: Sharding = "none"
) -> Any:
    """The module itself where there is one process. `may_skip`: some parameters may stay unused; `sharding`: whether
    each process holds all of it or its part.

    Buffers are alike everywhere from the start and are not sent again in every step.
    """
    if context.world == 1:
        return module
    if sharding == "full":
        return spread(module, context, may_skip)
    ddp = nn.parallel.DistributedDataParallel
    renamed = "forward_sync_buffers" in signature(ddp).parameters  # from torch 2.13 on
    buffers: dict[str, Any] = {"forward_sync_buffers" if renamed else "broadcast_buffers": False}
    return ddp(module, find_unused_parameters=may_skip, gradient_as_bucket_view=True, **buffers)
