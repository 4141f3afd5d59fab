"""The journal of a run: one JSON object per step, one line each, in `journal.jsonl`."""

import shutil
from pathlib import Path

from simcrop.files.lines import Line, as_line, parse, read_lines
from simcrop.files.whole import FULL, StoreError, flush, write_whole, writing
from simcrop.stderr import write_line

Row = Line
DAMAGED = "journal-damaged.jsonl"


class Journal:
    """Appends rows; on resume forgets those that came after the checkpoint. One that was damaged meanwhile costs itself
    alone, is said, and the file as it was stays beside it.

    What a full disk does not take waits in memory, so that no row is missing once there is room again.
    """

    def __init__(self, path: Path, keep_until_step: int) -> None:
        rows, damaged = sound_rows(path)
        kept = [row for row in rows if row["step"] <= keep_until_step]
        if damaged and keep_until_step:
            with writing(path):
                shutil.copyfile(path, path.with_name(DAMAGED))
        if missing := keep_until_step - len(kept):
            write_line(missing_words(path, missing, keep_until_step, damaged))
        write_whole(path, b"".join(map(as_line, kept)))
        self.path, self.file, self.waiting = path, path.open("ab", buffering=0), b""

    def rows(self) -> list[Row]:
        """All that are in it: from the disk, since those of a long run are too many to be kept in memory beside it."""
        return read_journal(self.path)

    def write(self, row: Row) -> None:
        rest = self.waiting + as_line(row)
        try:
            while rest:
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            if error.errno not in FULL:
                raise
        self.waiting = rest  # now alone: a checkpoint that is being written looks at it meanwhile

    def secure(self) -> None:
        """All rows survive a power cut, or StoreError: a checkpoint is worth nothing without the rows before it."""
        if self.waiting:
            raise StoreError("disk-full", f"{self.path}: the disk is full or a quota is reached")
        with writing(self.path):
            flush(self.path)

    def close(self) -> None:
        self.file.close()


def sound_rows(path: Path) -> tuple[list[Row], bool]:
    """All rows wherever they are, and whether something lies between them that is none. A torn last line is of a run
    that was killed, and no damage.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    parsed = [parse(line) for line in lines]
    rows = [row for row in parsed if row is not None and "step" in row]
    whole = [line for line in lines if line.endswith(b"\n")]
    return rows, len(rows) < len(whole)


def missing_words(path: Path, missing: int, steps: int, damaged: bool) -> str:
    where = f"; as it was it lies beside it, {DAMAGED}" if damaged else ""
    return (
        f"{path}: {missing} of the rows of {steps} steps are damaged or gone, and the run goes on without them: "
        f"figures of the whole run, and what it may live with, are counted by the others{where}"
    )


def read_journal(path: Path) -> list[Row]:
    """All whole lines; a torn last one, left by a killed run, is ignored."""
    return read_lines(path, lambda row: "step" in row)
