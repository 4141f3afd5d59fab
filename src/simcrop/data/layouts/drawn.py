"""Whether scans were drawn by `simcrop phantom`, in whatever layout it wrote them. No axes or units."""

import json
from pathlib import Path

NOTE = Path("truth", "phantom.json")  # beside everything that `simcrop phantom` writes
PHANTOM, INSERTED = "phantom", "phantom findings in real scans"


def drawn_as(source: Path) -> str:
    """How; empty for scans of patients."""
    try:
        note = json.loads((source / NOTE).read_bytes())
    except (OSError, ValueError):
        return ""
    if not isinstance(note, dict) or "difficulty" not in note:
        return ""
    return INSERTED if note.get("scans") else PHANTOM
