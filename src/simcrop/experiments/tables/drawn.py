"""What Fig. 2 and Fig. 3 show beside a table: every label of a transfer, and curves over a setting.

No axes; per cent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simcrop.experiments.tables.cells import JudgedColumn
from simcrop.experiments.tables.judging import reached_by_label
from simcrop.experiments.tables.notes import OURS
from simcrop.experiments.tables.rows import FIG3_K, FIG3_K_ROWS, FIG3_RATIO_ROWS, FIG3_RATIOS, Row
from simcrop.experiments.tables.table_rows import bounds, figures_csv, interval_fields, one_digit
from simcrop.figures.bars import side_by_side
from simcrop.figures.document import markdown
from simcrop.figures.dots import draw_dots
from simcrop.figures.sweep import Swept, draw_sweep
from simcrop.metrics import Interval
from simcrop.tasks.intervals import bar_of

CHOSEN_K, CHOSEN_RATIO = 64.0, 0.75
BY_LABEL = "Every label, with 95 % intervals"
SWEPT = "Over K and over the share of hidden words"
LABEL_WORDS = "Dots are means over seeds; the broken line is chance."
SWEEP_WORDS = (
    "Each point is a training of its own, SimCroP but for one setting; whiskers are 95 % intervals, read as below. K "
    "is counted at full size; at toy size it is the same share of the visible patches. SimCroP itself, K = 64 with "
    "75 % hidden, stands in both."
)
MEAN = "mean over labels"


@dataclass(frozen=True)
class Drawn:
    """A section of the page and of the Markdown, what stands in the JSON, and the lines of the CSV."""

    title: str
    drawing: str
    words: str
    markdown: list[str]
    fields: dict[str, Any] = field(default_factory=dict)
    csv: bytes = b""


def drawn_of(name: str, rows: Sequence[Row], columns: Sequence[JudgedColumn]) -> Drawn | None:
    """None for tables, and where nothing was measured."""
    if name not in ("fig2", "fig3") or not columns[0].ranked:
        return None
    return label_by_label(rows, columns[0]) if name == "fig2" else swept(columns[0])


def label_by_label(rows: Sequence[Row], judged: JudgedColumn) -> Drawn:
    """Fig. 2."""
    found = reached_by_label(judged)
    whole = {cell.row.key: cell.interval for cell in judged.cells if cell.interval}
    every = {MEAN: whole, **found}
    shown = [row for row in rows if row.key in whole]
    ours = next((row.name for row in shown if row.key == OURS), "")
    panels = {label: {row.name: bar_of(of.get(row.key)) for row in shown} for label, of in every.items()}
    cells = [
        [label, *(one_digit(of[row.key].value) if row.key in of else "–" for row in shown)]
        for label, of in every.items()
    ]
    return Drawn(
        BY_LABEL,
        draw_dots(panels, ours, about="AUROC in per cent"),
        LABEL_WORDS,
        markdown(("label", *(row.name for row in shown)), cells),
        {
            "labels": {
                name: {key: interval_fields(of) for key, of in by.items()} for name, by in found.items()
            }
        },
        figures_csv(
            ("label", "row", "value", "low", "high"),
            [
                [label, row.key, *interval_fields(of.get(row.key)).values()]
                for label, of in every.items()
                for row in shown
            ],
        ),
    )


def swept(judged: JudgedColumn) -> Drawn:
    """Fig. 3."""
    curves = {
        "top_k": [(float(at), row) for at, row in zip(FIG3_K, FIG3_K_ROWS, strict=True)],
        "hidden": [(at, row) for at, row in zip(FIG3_RATIOS, FIG3_RATIO_ROWS, strict=True)],
    }
    found = {
        name: [
            (at, row, cell.interval) for at, row in points if (cell := judged.of(row.key)) and cell.interval
        ]
        for name, points in curves.items()
    }
    panels = [
        draw_sweep("K", [swept_at(at, of) for at, _, of in found["top_k"]], CHOSEN_K, doubling=True),
        draw_sweep(
            "words hidden",
            [swept_at(100 * at, of) for at, _, of in found["hidden"]],
            100 * CHOSEN_RATIO,
            unit=" %",
        ),
    ]
    lines = [
        [name, at, row.key, *interval_fields(of).values()]
        for name, points in found.items()
        for at, row, of in points
    ]
    cells = [
        ["K" if name == "top_k" else "words hidden", f"{at:g}", f"{one_digit(of.value)} [{bounds(of)}]"]
        for name, points in found.items()
        for at, _, of in points
    ]
    return Drawn(
        SWEPT,
        side_by_side(panels),
        SWEEP_WORDS,
        markdown(("setting", "at", judged.column.title), cells),
        {
            "curves": {
                name: [{"at": at, "row": row.key, **interval_fields(of)} for at, row, of in points]
                for name, points in found.items()
            }
        },
        figures_csv(("setting", "at", "row", "value", "low", "high"), lines),
    )


def swept_at(at: float, of: Interval) -> Swept:
    return Swept(at, of.value, of.low, of.high)
