"""What results say of themselves before they are compared. No axes or units."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from simcrop.errors import SimcropError
from simcrop.tasks.folder import METRICS

Facts = TypeVar("Facts")


def facts_of(folder: Path, told: Callable[[Any], Facts]) -> Facts:
    """What `told` finds in the folder's `metrics.json`; of one that lacks it a SimcropError."""
    try:
        return told(json.loads((folder / METRICS).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SimcropError("bad-input", f"{folder}/{METRICS} does not say which scans were judged") from error


def named(*names: str) -> Callable[[Any], dict[str, Any]]:
    """These entries."""
    return lambda metrics: {name: metrics[name] for name in names}
