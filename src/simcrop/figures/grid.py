"""A table of results: columns under common headings, rows in groups, each cell with small print and a mark.

No axes. Markup that takes its colours from the page; all text is escaped here.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["", "best", "second"]


@dataclass(frozen=True)
class Entry:
    """`small`: beneath the text, such as an interval. `kind`: how it is marked."""

    text: str
    small: str = ""
    kind: Kind = ""


@dataclass(frozen=True)
class Heading:
    """Over several columns. `paper`: they are not ours, and stand on another ground."""

    text: str
    columns: tuple[str, ...]
    paper: bool = False


@dataclass(frozen=True)
class Line:
    """One row; where `group` changes, its name stands above."""

    name: str
    entries: tuple[Entry, ...]
    group: str = ""


def draw_grid(headings: Sequence[Heading], lines: Sequence[Line], first: str = "") -> str:
    """`first`: the heading of the names."""
    kinds = [
        " ".join(["paper"] * of.paper + ["apart"] * (n == 0))
        for of in headings
        for n in range(len(of.columns))
    ]
    for line in lines:
        if len(line.entries) != len(kinds):
            raise ValueError(f"a row has {len(line.entries)} cells, the table has {len(kinds)} columns")
    above = "".join(
        f'<th class="apart{" paper" * of.paper}" colspan="{len(of.columns)}">{html.escape(of.text)}</th>'
        for of in headings
    )
    names = [name for of in headings for name in of.columns]
    below = "".join(
        f'<th class="{kind}">{html.escape(name)}</th>' for kind, name in zip(kinds, names, strict=True)
    )
    body, group = [], ""
    for line in lines:
        if line.group and line.group != group:
            body.append(
                f'<tr class="group"><th colspan="{len(kinds) + 1}">{html.escape(line.group)}</th></tr>'
            )
        group = line.group
        body.append(f"<tr><th>{html.escape(line.name)}</th>{''.join(map(cell, line.entries, kinds))}</tr>")
    return (
        f'<div class="scroll"><table class="grid"><thead><tr><th rowspan="2">{html.escape(first)}</th>{above}</tr>'
        f"<tr>{below}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def cell(entry: Entry, kind: str) -> str:
    small = f"<small>{html.escape(entry.small)}</small>" if entry.small else ""
    names = " ".join(filter(None, (kind, entry.kind)))
    return f'<td class="{names}"><span>{html.escape(entry.text)}</span>{small}</td>'
