"""The journal of a run: one JSON object per step, one line each, in `journal.jsonl`."""

from pathlib import Path

from simcrop.files.lines import Line, as_line, read_lines
from simcrop.files.whole import FULL, StoreError, flush, write_whole, writing

Row = Line


class Journal:
    """Appends rows; on resume forgets those that came after the checkpoint.

    What a full disk does not take waits in memory, so that no row is missing once there is room again.
    """

    def __init__(self, path: Path, keep_until_step: int) -> None:
        kept = [row for row in read_journal(path) if row["step"] <= keep_until_step]
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


def read_journal(path: Path) -> list[Row]:
    """All whole lines; a torn last one, left by a killed run, is ignored."""
    return read_lines(path, lambda row: "step" in row)
