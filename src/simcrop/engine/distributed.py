"""One process or many: which one this is, and what all of them agree on. `torch.distributed` is imported here and where
parameters are spread (`sharding.py`, `shard_files.py`). No axes or units.
"""

import gc
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from simcrop.engine.meeting import meeting
from simcrop.errors import SimcropError, ToldError

Sharding = Literal["none", "full"]
OF_A_PROCESS, MEETING = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"), ("MASTER_ADDR", "MASTER_PORT")
PATIENCE = timedelta(minutes=30)  # for a process that is late: the first look at a large cohort, a slow disk


@dataclass(frozen=True)
class DistributedContext:
    """This process among all: `rank` of `world`, and the device it computes on. `host`: a second group of the same
    processes, over which plain numbers travel without waiting for the device; None where the first is of that kind.
    """

    rank: int
    world: int
    device: torch.device
    host: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, the one that writes files and prints."""
        return self.rank == 0

    def any_rank(self, flag: bool) -> bool:
        """True everywhere when it is true anywhere."""
        return bool(self.sum([int(flag)])[0]) if self.world > 1 else flag

    def sum(self, values: Sequence[int]) -> list[int]:
        """Over all processes, number by number."""
        if self.world == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.long)
        dist.all_reduce(shared, group=self.host)
        return shared.tolist()

    def counts(self, mine: int) -> list[int]:
        """A number of each process, in the order of ranks."""
        each = [0] * self.world
        each[self.rank] = mine
        return self.sum(each)

    def all_gather(self, mine: list[Any]) -> list[Any]:
        """The lists of all processes, one after the other; of what can be pickled."""
        if self.world == 1:
            return mine
        parts: list[list[Any] | None] = [None] * self.world
        dist.all_gather_object(parts, mine, group=self.host)
        return [one for part in parts for one in part or []]

    def mean(self, values: Tensor) -> Tensor:
        if self.world == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.world

    def gather(self, mine: Tensor, dim: int = 0) -> Tensor:
        """What all processes have, joined along `dim`, where each may have another length. With its gradient: each gets
        the sum of what all of them found for its part.
        """
        if self.world == 1:
            return mine
        rows = mine.movedim(dim, 0)
        return Gathered.apply(rows, self.counts(len(rows)), self.rank).movedim(0, dim)  # type: ignore[union-attr]

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes, on the device that `values` come from."""
        if self.world == 1:
            return values
        shared = values.to(self.device, copy=True)
        dist.all_reduce(shared)
        return shared.to(values.device)

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()


class Gathered(torch.autograd.Function):
    """Rows of all processes, one after the other; padded on the way to the longest."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, counts: list[int], rank: int) -> Tensor:
        ctx.counts, ctx.rank = counts, rank
        padded = mine.new_zeros(max(counts), *mine.shape[1:])
        padded[: len(mine)] = mine
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        # A copy, since others may have been given the same tensor.
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        first = sum(ctx.counts[: ctx.rank])
        return gradient[first : first + ctx.counts[ctx.rank]], None, None


def join_distributed() -> DistributedContext:
    """What `torchrun` started, or this process alone."""
    world, rank = place_of(os.environ)
    cuda = torch.cuda.is_available()
    device = own_card() if cuda else torch.device("cpu")
    if world == 1:
        return DistributedContext(rank, world, device)
    if not dist.is_initialized():
        store, *_ = next(dist.rendezvous("env://", timeout=PATIENCE))
        store = dist.PrefixStore(meeting(store, rank, world, PATIENCE.total_seconds()), store)
        of_cards: dict[str, Any] = {"backend": "nccl", "device_id": device} if cuda else {"backend": "gloo"}
        dist.init_process_group(store=store, rank=rank, world_size=world, timeout=PATIENCE, **of_cards)
    return DistributedContext(rank, world, device, dist.new_group(backend="gloo") if cuda else None)


def place_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """How many processes there are, and which one this is. Raises SimcropError where the variables do not say it."""
    asked = {name: environment[name] for name in ("WORLD_SIZE", *OF_A_PROCESS) if name in environment}
    if wrong := [f"{name}={value}" for name, value in asked.items() if not value.isdecimal()]:
        raise not_by_torchrun(f"{wrong[0]} is no number")
    world, rank = int(asked.get("WORLD_SIZE", "1")), int(asked.get("RANK", "0"))
    if world > 1 and (lacking := [name for name in ("RANK", *MEETING) if not environment.get(name)]):
        raise not_by_torchrun(f"WORLD_SIZE={world} is set and {', '.join(lacking)} not")
    if world > 1 and rank >= world:
        raise not_by_torchrun(f"RANK={rank} is none of WORLD_SIZE={world}")
    return world, rank


def not_by_torchrun(what: str) -> SimcropError:
    return SimcropError(
        "not-torchrun",
        f"{what}: start many processes with torchrun, which sets all of it, or one without these variables",
    )


def own_card() -> torch.device:
    """The card of this process, by its place on this machine."""
    place, cards = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    here = max(int(os.environ.get("LOCAL_WORLD_SIZE", "1")), place + 1)
    if here > cards:  # for all of this machine, so that those with a card wait for nobody; one tells it
        raise (ToldError if place else SimcropError)(
            "no-device",
            f"{here} processes on this machine have no card each, torch sees {cards}: "
            f"torchrun --nproc-per-node {cards}",
        )
    device = torch.device("cuda", place)
    torch.cuda.set_device(device)
    return device


def shared_store() -> Any:
    """Where all processes read and write without waiting for one another, through a connection of its own where this
    torch has such. It outlives any of them where torchrun has started them; else it lies in the first.
    """
    store: Any = dist.distributed_c10d._get_default_store()
    return store.clone() if hasattr(store, "clone") else store


def is_lost_connection(error: BaseException) -> bool:
    """Whether an operation of all processes failed because another is gone or does not answer."""
    if isinstance(error, (dist.DistBackendError, dist.DistNetworkError, dist.DistStoreError)):
        return True
    words = ("gloo", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def leave_distributed() -> None:
    """Close what `join_distributed` opened."""
    if dist.is_available() and dist.is_initialized():
        # A wrapped module that waits for the garbage collector still holds the group; its threads would
        # then be torn down with the interpreter, which now and then aborts a run that had succeeded.
        gc.collect()
        dist.destroy_process_group()
