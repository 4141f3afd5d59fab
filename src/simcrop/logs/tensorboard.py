"""TensorBoard: one file of events, a scalar for each number of a row, by step. Wall time in s.

Its own record writer on a plain file: no thread that a loading process could inherit, and a full disk is heard of.
"""

import time
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from typing import Any

from simcrop.engine.journal import Row
from simcrop.logs.numbers import numbers_of

NAME = "events.out.tfevents."  # and a number, by which a TensorBoard knows which file comes after which


class TensorBoard:
    """The event file of one start of a run."""

    def __init__(self, folder: Path) -> None:
        event: Any = import_module("tensorboard.compat.proto.event_pb2")
        summary: Any = import_module("tensorboard.compat.proto.summary_pb2")
        records: Any = import_module("tensorboard.summary.writer.record_writer")
        self.event, self.summary = event.Event, summary.Summary
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self.file = (folder / f"{NAME}{max(round(now * 1000), give_way(folder) + 1):013d}").open("wb")
        self.records = records.RecordWriter(self.file)
        session: Any = event.SessionLog(status=event.SessionLog.START)
        with ExitStack() as unless_begun:
            unless_begun.enter_context(closing(self))
            self.put(self.event(wall_time=now, file_version="brain.Event:2"))
            self.put(self.event(wall_time=now, step=0, session_log=session))
            unless_begun.pop_all()

    def write(self, row: Row) -> None:
        values = [self.summary.Value(tag=name, simple_value=value) for name, value in numbers_of(row).items()]
        self.put(self.event(wall_time=time.time(), step=row["step"], summary=self.summary(value=values)))

    def put(self, event: Any) -> None:
        self.records.write(event.SerializeToString())
        self.records.flush()

    def close(self) -> None:
        self.file.close()


def give_way(folder: Path) -> int:
    """The newest file of an earlier start is emptied and the older are removed: a TensorBoard that is looking on stays
    with a file that is gone, but goes on to the next from one that has ended. What it holds of the earlier start it
    forgets when it reads that a session begins at step 0. The number of that file, 0 where there is none: clocks of two
    machines differ, and what comes after it must be called so, too.
    """
    files = sorted(folder.glob(f"{NAME}*"))
    for path in files[:-1]:
        path.unlink()
    for path in files[-1:]:
        path.write_bytes(b"")
    numbers = [path.name.removeprefix(NAME) for path in files[-1:]]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)
