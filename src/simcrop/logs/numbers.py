"""What of a row may leave the journal: numbers, never the name of a study. No axes or units."""

from collections.abc import Mapping
from typing import Any

from simcrop.engine.journal import Row

# The groups of a row whose keys are ours and not those of studies.
GROUPS = frozenset({"monitored"})
# What a row names studies under: how many there are is all that is told.
COUNTED = frozenset({"unread", "skipped"})


def numbers_of(row: Row) -> dict[str, float]:
    """The named numbers of a row but for its step; those of a group as `group/name`."""
    found: dict[str, float] = {}
    for name, value in row.items():
        if name in COUNTED:
            found[name] = float(len(value))
        elif name in GROUPS:
            found.update({f"{name}/{inner}": float(v) for inner, v in value.items() if is_number(v)})
        elif is_number(value) and name != "step":
            found[name] = float(value)
    return found


def plain_settings(settings: Mapping[str, Any]) -> dict[str, int | float]:
    """Those that are numbers: words among them may be paths, which name machines and people."""
    return {name: value for name, value in settings.items() if isinstance(value, (bool, int, float))}


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
