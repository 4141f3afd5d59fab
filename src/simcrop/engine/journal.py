"""The journal of a run: one JSON object per step, one line each, in `journal.jsonl`."""

from pathlib import Path

from simcrop.files.lines import Line, as_line, read_lines
from simcrop.files.whole import write_whole

Row = Line


class Journal:
    """Appends rows; on resume forgets those that came after the checkpoint. `earlier`: those that are kept."""

    def __init__(self, path: Path, keep_until_step: int) -> None:
        self.earlier = [row for row in read_journal(path) if row["step"] <= keep_until_step]
        write_whole(path, b"".join(map(as_line, self.earlier)))
        self.file = path.open("ab", buffering=0)

    def write(self, row: Row) -> None:
        self.file.write(as_line(row))

    def close(self) -> None:
        self.file.close()


def read_journal(path: Path) -> list[Row]:
    """All whole lines; a torn last one, left by a killed run, is ignored."""
    return read_lines(path, lambda row: "step" in row)
