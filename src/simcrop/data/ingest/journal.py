"""The journal of an ingest: settings in its first line, then one line per finished scan, each flushed to disk.

No axes or units. It never holds a report. Whatever follows the first line that cannot be read is cut off, so a process
killed while writing loses one scan at most.
"""

import fcntl
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from simcrop.data.store.format import JOURNAL
from simcrop.errors import SimcropError
from simcrop.files.lines import Line, as_line, whole_lines
from simcrop.files.whole import writing

Record = Line


@dataclass
class Journal:
    """An open journal. `records`: the last word on each id."""

    path: Path
    file: IO[bytes]
    records: dict[str, Record] = field(default_factory=dict)

    def append(self, record: Record) -> None:
        """One scan is finished; true even after a power cut."""
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
            os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()


def open_journal(folder: Path, settings: Record) -> Journal:
    """Begin or continue the ingest in `folder`; nobody else may write there until it is closed."""
    path = folder / JOURNAL
    with ExitStack() as on_error:
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            file = on_error.enter_context(path.open("a+b"))
        lock(file, path)
        lines = cut_torn_end(file, path)
        journal = Journal(path, file, {line["id"]: line for line in lines[1:]})
        if lines:
            same_settings(folder, lines[0], settings)
        else:
            journal.write(settings)
        on_error.pop_all()
    return journal


def lock(file: IO[bytes], path: Path) -> None:
    """The system drops the lock when the process dies, however it dies."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SimcropError(
            "busy", f"{path.parent}: another ingest is writing here, wait for it to end"
        ) from None


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
