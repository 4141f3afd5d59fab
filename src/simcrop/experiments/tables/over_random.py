"""By how much each row is ahead of a random start, over the same drawn patients: what its training was worth.

No axes; points of a per cent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from simcrop.experiments.tables.cells import BEST, JudgedColumn, Lead, lead_of
from simcrop.experiments.tables.rows import Row
from simcrop.experiments.tables.table_rows import bounds, interval_fields, one_digit
from simcrop.figures.grid import Entry, Line

RANDOM = "random"
TITLE = "Ours less the random start"
WORDS = (
    "Differences over the same drawn patients and seeds, in points, with 95 % intervals. Bold: the interval is free of "
    "0, on either side, and of two seeds or more. Of so many comparisons one in twenty comes out so by chance."
)
Leads = Mapping[str, Mapping[str, Lead]]  # by column and row


def over_random(columns: Sequence[JudgedColumn]) -> Leads:
    """Where both have a figure; nothing of tables without such a row."""
    return {
        of.column.key: {
            cell.row.key: lead_of(cell.row, cell.reached, start.row, start.reached)
            for cell in of.cells
            if cell is not start and cell.reached is not None
        }
        for of in columns
        for start in of.cells
        if start.row.key == RANDOM and start.reached is not None
    }


def lines_over_random(rows: Sequence[Row], columns: Sequence[JudgedColumn], over: Leads) -> list[Line]:
    """A line for every row that has a difference, a cell for every column."""
    shown = [row for row in rows if any(row.key in of for of in over.values())]
    return [
        Line(row.name, tuple(entry_of(over.get(of.column.key, {}).get(row.key)) for of in columns), row.group)
        for row in shown
    ]


def entry_of(lead: Lead | None) -> Entry:
    if lead is None:
        return Entry("–")
    return Entry(one_digit(lead.over.value, sign="+"), f"[{bounds(lead.over)}]", BEST if lead.apart else "")


def fields_over_random(over: Leads) -> list[dict[str, Any]]:
    """As plain values."""
    return [
        {"column": column, "row": row, **interval_fields(of.over), "apart": of.apart}
        for column, by_row in over.items()
        for row, of in by_row.items()
    ]
