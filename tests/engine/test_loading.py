"""Batches on their way: staged one ahead, in their order, errors where they belong."""

import threading
from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import Dataset

from simcrop.engine.loading import cores_of_a_process, heard, lost_workers, micro_batches, pinned, staged
from simcrop.engine.order import RankShare, SampleDraw, SampleOrder
from simcrop.errors import SimcropError


class Source:
    """Counts what was taken from it."""

    def __init__(self, count: int) -> None:
        self.count, self.taken = count, 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.count):
            self.taken += 1
            yield number


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_all_come_once_and_in_order(count: int) -> None:
    assert list(staged(iter(range(count)), lambda batch: 10 * batch)) == [10 * n for n in range(count)]


def test_one_is_ahead_and_no_more() -> None:
    source, made = Source(9), []
    batches = staged(iter(source), made.append)
    for given in range(1, 5):
        next(batches)
        assert source.taken == given + 1
        assert len(made) <= given + 1
    batches.close()  # type: ignore[attr-defined]
    assert made == list(range(5))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("staging")]


def test_the_thread_that_stages_is_another() -> None:
    names = list(staged(iter(range(3)), lambda _: threading.current_thread().name))
    assert {name.startswith("staging") for name in names} == {True}


def test_what_cannot_be_staged_is_told_where_it_is_asked_for() -> None:
    def stage(batch: int) -> int:
        if batch == 2:
            raise MemoryError("no more")
        return batch

    batches = staged(iter(range(4)), stage)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(MemoryError, match="no more"):
        next(batches)


def test_a_loader_that_fails_fails_here() -> None:
    def broken() -> Iterator[int]:
        yield 0
        yield 1
        raise RuntimeError("DataLoader worker (pid 7) is killed")

    batches = staged(broken(), lambda batch: batch)
    assert next(batches) == 0
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        next(batches)


def test_an_error_in_the_place_of_a_batch_is_handed_on() -> None:
    error = SimcropError("corrupt-volume", "study line-3: damaged")
    assert list(staged(iter([Pinnable("a"), error]), pinned)) == [["a"], error]


class Pinnable(list):
    """A batch that remembers where it was pinned."""

    where: str | None = None

    def pin_memory(self) -> "Pinnable":
        copy = Pinnable(self)
        copy.where = threading.current_thread().name
        return copy


class Draws(Dataset):
    def __getitem__(self, draw: SampleDraw) -> SampleDraw:  # type: ignore[override]
        return draw


@pytest.mark.parametrize("card", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_for_a_card_the_same_batches_come_pinned(
    monkeypatch: pytest.MonkeyPatch, card: bool, workers: int
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: card)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    order, share = SampleOrder(count=5, batch=4, seed=1), RankShare(rank=0, world=1, micro=2)
    with micro_batches(Draws(), Pinnable, order, share, range(2, 5), workers) as batches:
        found = list(batches)
    assert found == [part for step in (2, 3, 4) for part in share.of(order.draws(step))]
    assert {of.where is not None and of.where.startswith("staging") for of in found} == {card}
    assert chosen == [3] * card, "a thread of its own begins at the first card, whichever is this process's"


def test_no_more_processes_load_than_there_are_cores_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert cores_of_a_process() == 8
    for processes, cores in (("4", 2), ("16", 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        assert cores_of_a_process() == cores


def hung_up() -> Iterator[int]:
    """What torch's loader says of a process that was killed in the middle of a batch."""
    yield 1
    raise ConnectionResetError


def test_only_a_loading_process_that_hangs_up_is_told_as_lost() -> None:
    batches = heard(hung_up())
    assert next(batches) == 1
    with pytest.raises(SimcropError, match="a loading process ended"):
        next(batches)
    with pytest.raises(BrokenPipeError), lost_workers():
        raise BrokenPipeError
