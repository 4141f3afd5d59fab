"""One process or many: which one this is, and what all of them agree on. Nothing else imports `torch.distributed`."""

import gc
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class DistributedContext:
    """This process among all: `rank` of `world`, and the device it computes on."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, the one that writes files and prints."""
        return self.rank == 0

    def any_rank(self, flag: bool) -> bool:
        """True everywhere when it is true anywhere."""
        if self.world == 1:
            return flag
        shared = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return bool(shared.item())

    def all_gather(self, mine: list[Any]) -> list[Any]:
        """The lists of all processes, one after the other; of what can be pickled."""
        if self.world == 1:
            return mine
        parts: list[list[Any] | None] = [None] * self.world
        dist.all_gather_object(parts, mine)
        return [one for part in parts for one in part or []]

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        if self.world == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.world

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()

    def wrap(self, module: nn.Module, may_skip: bool = False) -> nn.Module:
        """The module, its gradients averaged over all processes. `may_skip`: some parameters may stay unused."""
        if self.world == 1:
            return module
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=may_skip)


def join_distributed() -> DistributedContext:
    """What `torchrun` started, or this process alone."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return DistributedContext(rank, world, device)


def leave_distributed() -> None:
    """Close what `join_distributed` opened."""
    if dist.is_available() and dist.is_initialized():
        # A wrapped module that waits for the garbage collector still holds the group; its threads would
        # then be torn down with the interpreter, which now and then aborts a run that had succeeded.
        gc.collect()
        dist.destroy_process_group()
