"""The journal of a run: one JSON object per step, one line each, in `journal.jsonl`."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Journal:
    """Appends rows; on resume forgets those that came after the checkpoint."""

    def __init__(self, path: Path, keep_until_step: int) -> None:
        rows = [row for row in read_journal(path) if row["step"] <= keep_until_step]
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
        partial.replace(path)
        self.file = path.open("a", buffering=1)

    def write(self, row: Row) -> None:
        self.file.write(json.dumps(row) + "\n")

    def close(self) -> None:
        self.file.close()


def read_journal(path: Path) -> list[Row]:
    """All whole lines; a torn last line, left by a killed run, is ignored."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
