"""The journal of an ingest: settings in its first line, then one line per finished scan.

No axes or units. It never holds a report. Whatever follows the first line that cannot be read is cut off, so a process
killed while writing loses one scan at most.
"""

import os
import time
from collections.abc import Collection
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from simcrop.data.store.format import JOURNAL, LOCK
from simcrop.errors import SimcropError
from simcrop.files.lines import Line, as_line, whole_lines
from simcrop.files.lock import locked
from simcrop.files.whole import write_whole, writing

Record = Line
SYNC_S = 1.0  # between two waits for the disk, which on shared storage take longer than a small scan


@dataclass
class Journal:
    """An open journal, and the right to write in its folder. `records`: the last word on each id."""

    path: Path
    file: IO[bytes]
    held: ExitStack
    records: dict[str, Record] = field(default_factory=dict)
    synced: float = 0.0

    def append(self, record: Record) -> None:
        """One scan is finished; true even when this process is killed.

        A power cut may take the lines of the last second. Their volumes were stored before, and are made again alike.
        """
        self.write(record)
        self.records[record["id"]] = record

    def extend(self, records: list[Record]) -> None:
        """Many scans were finished elsewhere; only those of which it is news."""
        news = [record for record in records if self.records.get(record["id"]) != record]
        self.write(*news)
        self.records |= {record["id"]: record for record in news}

    def write(self, *lines: Record) -> None:
        with writing(self.path):
            for line in lines:
                self.file.write(as_line(line))
            self.file.flush()
        if time.monotonic() - self.synced >= SYNC_S:
            self.sync()

    def keep(self, ids: Collection[str]) -> None:
        """Only what was said of these, and that once; nothing can be appended any more."""
        self.file.seek(0)
        settings = self.file.readline()
        self.records = {id: record for id, record in self.records.items() if id in ids}
        write_whole(self.path, settings + b"".join(map(as_line, self.records.values())))

    def sync(self) -> None:
        """All lines are true even after a power cut."""
        with writing(self.path):
            os.fsync(self.file.fileno())
        self.synced = time.monotonic()

    def close(self) -> None:
        with self.held:
            self.sync()


def open_journal(folder: Path, settings: Record) -> Journal:
    """Begin or continue the ingest in `folder`; nobody else may write there until it is closed."""
    path = folder / JOURNAL
    with ExitStack() as held:
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
        held.enter_context(alone_in(folder))
        with writing(path):
            file = held.enter_context(path.open("a+b"))
        lines = cut_torn_end(file, path)
        journal = Journal(path, file, held.pop_all(), {line["id"]: line for line in lines[1:]})
    with ExitStack() as on_error:
        on_error.callback(journal.close)
        if lines:
            same_settings(folder, lines[0], settings)
        else:
            journal.write(settings)
        on_error.pop_all()
    return journal


def alone_in(folder: Path) -> AbstractContextManager[None]:
    """The right to change a cohort. Raises SimcropError("busy") while another process has it."""
    return locked(folder / LOCK, f"the cohort {folder}")


def cut_torn_end(file: IO[bytes], path: Path) -> list[Record]:
    """Every sound line from the top, the rest removed from the open file, which is locked."""
    file.seek(0)
    lines, size = whole_lines(file, is_record)
    with writing(path):
        file.truncate(size)
    return lines


def is_record(line: Record) -> bool:
    """One of ours: the settings, or a scan."""
    return "id" in line or "format" in line


def same_settings(folder: Path, before: Record, now: Record) -> None:
    """A store made of two settings would be neither, and one of two formats cannot be read."""
    if before.get("format") != now.get("format"):
        raise SimcropError(
            "other-format",
            f"{folder}: holds a cohort of format {before.get('format')}, this simcrop writes {now.get('format')}; "
            "take another folder or overwrite this one",
        )
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise SimcropError(
                "other-settings",
                f"{folder}: holds a cohort with {name} = {before.get(name)}, asked for {now.get(name)}; "
                "take another folder or overwrite this one",
            )
