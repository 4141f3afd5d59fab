"""A table, written. No axes or units."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.rows import Row
from simcrop.files.whole import write_json


def write_table(
    name: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    seeds: Sequence[int],
    places: Places,
    missing: Mapping[str, str],
    failed: Mapping[Path, str],
) -> dict[str, Any]:
    """Stands in for the branch that writes tables."""
    found = {
        "rows": [r.key for r in rows],
        "columns": [c.key for c in columns],
        "seeds": list(seeds),
        "missing": dict(missing),
        "failed": {str(k): v for k, v in failed.items()},
    }
    write_json(places.table(name, "json"), found)
    return found
