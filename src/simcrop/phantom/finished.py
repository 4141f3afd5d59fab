"""The note that a phantom tree is whole, so that asking for it again draws no patient again. No axes or units."""

import json
from pathlib import Path

from simcrop.phantom.layouts.tree import write_file

NOTE = Path("truth", "finished.json")
OF_THE_CALL = {"run.json", "metrics.json"}  # beside the tree, not of it


def volumes_of_finished(out: Path) -> int | None:
    """How many volumes a finished tree has; None where it is not finished, or a file of it has gone since."""
    if not (out / NOTE).is_file():
        return None
    note = json.loads((out / NOTE).read_text())
    return note["volumes"] if all((out / place).is_file() for place in note["files"]) else None


def note_finished(out: Path, volumes: int) -> None:
    """To be called last: every file that is there now must be there for the tree to count as finished."""
    places = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    files = sorted(places - OF_THE_CALL - {NOTE.as_posix()})
    write_file(out / NOTE, (json.dumps({"volumes": volumes, "files": files}) + "\n").encode())
