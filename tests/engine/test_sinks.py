"""What is told every row beside the journal: in its order, by the main process, and from the checkpoint on resume."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import Job
from simcrop.engine.journal import Journal, Row, read_journal
from simcrop.engine.sinks import opened

Build = Callable[..., Job]
Toy = Callable[..., nn.Module]
ALONE = DistributedContext(0, 1, torch.device("cpu"))


class Killed(BaseException):
    """Stands for a process that ends without a word."""


class Shelf:
    """Keeps what it is told."""

    def __init__(self, earlier: Sequence[Row]) -> None:
        self.rows, self.closed = list(earlier), 0

    def write(self, row: Row) -> None:
        self.rows.append(row)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def shelves() -> list[Shelf]:
    return []


def told(run: Job, shelves: list[Shelf], times: int = 1) -> Job:
    def put_up(earlier: Sequence[Row]) -> Shelf:
        shelves.append(Shelf(earlier))
        return shelves[-1]

    return replace(run, sinks=(put_up,) * times)


def test_every_sink_is_told_what_the_journal_is_and_closed(
    toy: Toy, job: Build, shelves: list[Shelf]
) -> None:
    run = told(job("a"), shelves, times=2)
    fit(toy(), run, ALONE)
    rows = read_journal(run.folder / "journal.jsonl")
    assert len(rows) == 21
    assert [shelf.rows for shelf in shelves] == [rows, rows]
    assert [shelf.closed for shelf in shelves] == [1, 1]


def test_after_a_kill_a_sink_is_given_the_rows_up_to_the_checkpoint(
    toy: Toy, job: Build, shelves: list[Shelf]
) -> None:
    def die(done: int, total: int, words: str) -> None:
        del total, words
        if done == 10:
            raise Killed

    run = told(job("a"), shelves)
    with pytest.raises(Killed):
        fit(toy(), run, ALONE, progress=die)
    assert [row["step"] for row in shelves[0].rows] == list(range(1, 11))
    assert shelves[0].closed == 1
    fit(toy(), run, ALONE, resume=True)
    assert [row["step"] for row in shelves[1].rows] == list(range(1, 22))
    assert shelves[1].rows == read_journal(run.folder / "journal.jsonl")


def test_a_process_that_has_no_journal_opens_no_sink(tmp_path: Path) -> None:
    def refuse(earlier: Sequence[Row]) -> Shelf:
        raise AssertionError(earlier)

    with opened([refuse], None) as sinks:
        assert sinks == []
    journal = Journal(tmp_path / "journal.jsonl", 0)
    with pytest.raises(AssertionError), opened([refuse], journal):
        pass
    journal.close()
