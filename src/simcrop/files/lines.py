"""JSON objects, one per line, in files that grow: whoever writes one may be killed in the middle of a line.

No axes or units.
"""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import IO, Any

Line = dict[str, Any]


def as_line(row: Line) -> bytes:
    """One object as it stands in the file; refuses what JSON has no word for."""
    return json.dumps(row, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def parse(raw: bytes) -> Line | None:
    """A whole line, or nothing."""
    if not raw.endswith(b"\n"):
        return None
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def whole_lines(
    file: IO[bytes], sound: Callable[[Line], bool] = bool, at_most: int | None = None
) -> tuple[list[Line], int]:
    """Every sound line from the top, `at_most` so many, and the bytes that they take.

    What follows the first that is torn, no JSON or not `sound` counts for nothing: its writer died.
    """
    lines, size = [], 0
    for raw in islice(file, at_most):
        line = parse(raw)
        if line is None or not sound(line):
            break
        lines.append(line)
        size += len(raw)
    return lines, size


def read_lines(path: Path, sound: Callable[[Line], bool] = bool) -> list[Line]:
    """The sound lines of a file; none where there is no file. Nothing is changed."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        return whole_lines(file, sound)[0]
