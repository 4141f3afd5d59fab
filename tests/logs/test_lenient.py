"""A sink that fails is told of once and dropped."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from simcrop.engine.journal import Row
from simcrop.logs.lenient import Lenient


class Shelf:
    """Keeps rows; at step `full` there is no more room, not even to close it."""

    def __init__(self, full: int | None = None, broken: bool = False) -> None:
        if broken:
            raise RuntimeError("no\nsuch\tservice")
        self.full, self.rows, self.closed = full, [], 0

    def write(self, row: Row) -> None:
        if row["step"] == self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.rows.append(row["step"])

    def close(self) -> None:
        self.closed += 1
        if self.full is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def lenient(shelf: Any, told: list[str], earlier: list[Row]) -> Lenient:
    return Lenient("tensorboard", lambda _: shelf, Path("x"), told.append, earlier)


def test_what_the_journal_kept_is_written_before_what_comes(rows: list[Row]) -> None:
    shelf, told = Shelf(), []
    sink = lenient(shelf, told, rows[:2])
    sink.write(rows[2])
    sink.close()
    sink.close()
    assert (shelf.rows, shelf.closed, told) == ([1, 2, 3], 1, [])


@pytest.mark.parametrize("kept", [0, 4])
def test_a_full_disk_is_one_line_and_nothing_after_it(rows: list[Row], kept: int) -> None:
    shelf, told = Shelf(full=3), []
    sink = lenient(shelf, told, rows[:kept])
    for row in rows[kept:]:
        sink.write(row)
    sink.close()
    assert shelf.rows == [1, 2]
    assert shelf.closed == 1
    assert told == [
        "log.tensorboard is given up: No space left on device; the run goes on, journal.jsonl has all"
    ]


def test_a_sink_that_cannot_be_opened_is_one_line(rows: list[Row]) -> None:
    told: list[str] = []
    sink = Lenient("wandb", lambda _: Shelf(broken=True), Path("x"), told.append, [])
    sink.write(rows[0])
    sink.close()
    (line,) = told
    assert line.startswith("log.wandb is given up: RuntimeError: no such service; ")


def test_ctrl_c_is_no_failure_of_a_sink(rows: list[Row]) -> None:
    class Stopped(Shelf):
        def write(self, row: Row) -> None:
            raise KeyboardInterrupt(row)

    with pytest.raises(KeyboardInterrupt):
        lenient(Stopped(), [], rows)
