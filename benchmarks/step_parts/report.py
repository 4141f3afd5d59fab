"""What a benchmark has found, on disk. No axes or units."""

import json
from pathlib import Path
from typing import Any


def keep(report: dict[str, Any], path: Path | None) -> None:
    """Written anew after every part of the work, so that a run that is cut short leaves what it had."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
