"""The printed cells of a table: ours, the paper's and the difference, for pages, Markdown and CSV.

No axes; per cent and points, one digit as the paper prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from simcrop.experiments.tables.cells import Cell, JudgedColumn
from simcrop.experiments.tables.rows import Row
from simcrop.figures.grid import Entry, Heading, Line
from simcrop.files.tables import csv_bytes
from simcrop.metrics import Interval

BESIDE = 4  # columns whose ours, theirs and difference fit a page side by side
WORDS = {"auroc": "AUROC", "accuracy": "accuracy", "dice": "Dice", "none": ""}
CSV = (
    *("row", "group", "column", "dataset", "metric", "share", "value", "low", "high", "mark", "place"),
    *("seeds", "by_seed", "paper", "difference", "reason"),
)


@dataclass(frozen=True, eq=False)
class Block:
    """One printed table: ours alone, or ours, the paper's and the difference side by side."""

    title: str
    columns: tuple[JudgedColumn, ...]
    beside: bool


def blocks_of(columns: Sequence[JudgedColumn]) -> list[Block]:
    """All of few columns side by side with the paper; of many, ours first, then a block per data set. Ours alone where
    the paper has no values.
    """
    if all(cell.paper is None for of in columns for cell in of.cells):
        return [Block("Ours", tuple(columns), beside=False)]
    if len(columns) <= BESIDE:
        return [Block("Ours beside the paper's", tuple(columns), beside=True)]
    by_dataset = [tuple(of) for _, of in groupby(columns, title_of)]
    named = [Block(f"{title_of(of[0])}: ours beside the paper's", of, beside=True) for of in by_dataset]
    return [Block("Ours", tuple(columns), beside=False), *named]


def title_of(of: JudgedColumn) -> str:
    """Of a column without its share: the data set, and what is measured."""
    title, word = of.column.title.removesuffix(share_of(of)).strip(), WORDS[of.column.metric]
    return title if title.endswith(word) else f"{title}, {word}"


def share_of(of: JudgedColumn) -> str:
    return f"{100 * of.column.share:g} %"


def headings_of(block: Block, rows: Sequence[Row]) -> list[Heading]:
    """Switches first, where rows have them."""
    switches = [Heading("parts", ("SA", "IL", "WL"))] if differ_in_parts(rows) else []
    if not block.beside:
        groups = [tuple(of) for _, of in groupby(block.columns, title_of)]
        return [*switches, *(Heading(title_of(of[0]), tuple(map(share_of, of))) for of in groups)]
    alone = len({title_of(of) for of in block.columns}) == 1
    names = tuple(share_of(of) if alone else f"{title_of(of)}, {share_of(of)}" for of in block.columns)
    return [
        *switches,
        Heading("ours", names),
        Heading("the paper's", names, paper=True),
        Heading("ours less the paper's", names, paper=True),
    ]


def differ_in_parts(rows: Sequence[Row]) -> bool:
    """Rows of Table 3, which are told apart by switches."""
    return all(row.switches is not None for row in rows)


def lines_of(block: Block, rows: Sequence[Row]) -> list[Line]:
    lines, parts = [], differ_in_parts(rows)
    for n, row in enumerate(rows):
        cells = [of.cells[n] for of in block.columns]
        entries = [Entry("✓" if on else "×") for on in row.switches or ()] if parts else []
        entries += [entry_of(cell) for cell in cells]
        if block.beside:
            entries += [Entry(one_digit(cell.paper)) for cell in cells]
            entries += [Entry(one_digit(cell.over_paper, sign="+")) for cell in cells]
        lines.append(Line(row.name, tuple(entries), "" if parts else row.group))
    return lines


def entry_of(cell: Cell) -> Entry:
    """A value over its interval; how many seeds where some are missing."""
    found = cell.interval
    if found is None:
        return Entry("–")
    few = f"\n{len(cell.seeds)} seed{'s' if len(cell.seeds) > 1 else ''}" if cell.reason else ""
    return Entry(one_digit(found.value), f"[{bounds(found)}]{few}", cell.mark)


def bounds(of: Interval) -> str:
    """`81.2, 84.0`; a dash where all drawn patients agree, as too few do."""
    return f"{of.low:.1f}, {of.high:.1f}".replace("-", "−") if of.wide else "–"


def one_digit(value: float | None, sign: str = "") -> str:
    """Zero has no minus."""
    return "–" if value is None else f"{round(value, 1) + 0.0:{sign}.1f}".replace("-", "−")


def markdown_of(headings: Sequence[Heading], rows: Sequence[Line]) -> list[str]:
    """Best bold, second best underlined; a line of its own for each group of rows."""
    heads = ["method"]
    for of in headings:
        prefix = "" if of.text == "parts" else f"{of.text}: "
        heads += [f"{prefix}{name}" for name in of.columns]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    group = ""
    for line in rows:
        if line.group and line.group != group:
            lines.append(f"| *{line.group}* |{' |' * (len(heads) - 1)}")
        group = line.group
        lines.append(f"| {' | '.join([line.name, *map(marked, line.entries)])} |")
    return lines


def marked(entry: Entry) -> str:
    text = {"best": f"**{entry.text}**", "second": f"<u>{entry.text}</u>"}.get(entry.kind, entry.text)
    return " ".join([text, *entry.small.split("\n")]).strip()


def csv_of(columns: Sequence[JudgedColumn]) -> bytes:
    """One line per row and column; empty where there is nothing."""
    return figures_csv(CSV, [[fields_of(cell)[name] for name in CSV] for of in columns for cell in of.cells])


def figures_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """Empty where there is nothing."""
    return csv_bytes(columns, [["" if value is None else written(value) for value in row] for row in rows])


def written(value: object) -> str:
    """Four digits after the point; of several numbers all, a space between two."""
    if isinstance(value, float):
        return f"{value:.4f}"
    return " ".join(map(written, value)) if isinstance(value, tuple | list) else str(value)


def fields_of(cell: Cell) -> dict[str, Any]:
    """A cell as plain values, in per cent."""
    found, column = cell.interval, cell.column
    return {
        "row": cell.row.key,
        "group": cell.row.group,
        "column": column.key,
        "dataset": column.dataset,
        "metric": column.metric,
        "share": float(column.share),
        **interval_fields(found),
        "mark": cell.mark,
        "place": cell.place or None,
        "seeds": list(cell.seeds),
        "by_seed": [] if cell.reached is None else (100 * cell.reached.by_seed).tolist(),
        "paper": cell.paper,
        "difference": cell.over_paper,
        "reason": cell.reason,
        **({"false_positives": list(cell.false_positives)} if column.metric == "dice" else {}),
    }


def interval_fields(of: Interval | None) -> dict[str, float | None]:
    """Null where there is none."""
    names = ("value", "low", "high")
    return {name: None if of is None or (at := getattr(of, name)) != at else at for name in names}
