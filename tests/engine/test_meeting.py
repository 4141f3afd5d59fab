"""Processes that meet in a store: one name for all, and never that of those who met there before."""

from threading import Thread

import pytest
import torch.distributed as dist

from simcrop.engine.meeting import meeting
from simcrop.errors import SimcropError


def meet(store: dist.Store, world: int, late: int = -1) -> list[str]:
    """What each learns; `late` comes once all others wait."""
    names = [""] * world

    def come(rank: int) -> None:
        names[rank] = meeting(store, rank, world, 20.0)

    threads = [Thread(target=come, args=(rank,)) for rank in range(world)]
    order = sorted(range(world), key=lambda rank: rank == late)
    for rank in order:
        if rank == late:
            threads[order[0]].join(0.1)
        threads[rank].start()
    for thread in threads:
        thread.join(20)
    return names


@pytest.mark.parametrize("late", [-1, 0, 1, 2])
def test_all_learn_one_name_that_no_earlier_start_knew(late: int) -> None:
    store = dist.HashStore()
    seen: set[str] = set()
    for _ in range(3):  # the same store, as torchrun gives it to those that it starts again
        names = meet(store, 3, late)
        assert len(set(names)) == 1
        assert names[0]
        assert names[0] not in seen
        seen.add(names[0])


def test_who_does_not_come_is_waited_for_no_longer_than_said() -> None:
    with pytest.raises(SimcropError, match="1 of 2 processes have come"):
        meeting(dist.HashStore(), 0, 2, 0.1)
    with pytest.raises(SimcropError, match="rank 1 of 2 waits for the others"):
        meeting(dist.HashStore(), 1, 2, 0.1)
