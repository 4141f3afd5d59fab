"""How the page of `simcrop check` writes sizes, ids, intervals and where HU come from. Values in HU."""

import json

from simcrop.figures.page import written

MOST_IDS = 4
LONGEST_ID = 36
HU_SOURCES = {
    "header": "the file's own rescale",
    "stored": "stored as HU already",
    "metadata": "the data set's table",
    "given": "the rescale that was given to ingest",
    "npz": "the format's own scale",
    "slices": "a window assumed for 8-bit slices",
}


def in_bytes(count: int) -> str:
    """With the unit that leaves one to three digits before the point."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def first_ids(ids: tuple[str, ...]) -> str:
    """The first ids, and how many more there are."""
    more = f" and {written(len(ids) - MOST_IDS)} more" if len(ids) > MOST_IDS else ""
    return ", ".join(map(short, ids[:MOST_IDS])) + more


def short(id: str) -> str:
    """An id as long as a table can bear; its two ends tell it from its neighbours."""
    half = LONGEST_ID // 2
    return id if len(id) <= LONGEST_ID else f"{id[:half]}…{id[-half:]}"


def interval(low: int | float, high: int | float) -> str:
    """Two HU as a reader wants them."""
    return f"{low:.0f} to {high:.0f}".replace("-", "−")


def decision_of(text: str) -> str:
    """The source named in a stored HU decision."""
    decision = json.loads(text)
    return decision["source"] if decision else "not decided"
