"""A table of the paper, written: Markdown, CSV, JSON and a page that stands alone.

No axes; per cent. The same folders give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcrop.experiments import scores
from simcrop.experiments.tables.budget import (
    Given,
    TableOrigin,
    equal_words,
    given_to,
    read_origin,
)
from simcrop.experiments.tables.cells import JudgedColumn
from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.drawn import Drawn, drawn_of
from simcrop.experiments.tables.heat import write_heat
from simcrop.experiments.tables.judging import judge_column
from simcrop.experiments.tables.notes import (
    EXTENSION,
    LEFT_OPEN,
    PAPER,
    READING,
    TITLES,
    caption_of,
    explanation,
    foot_of,
    reasons_of,
    unranked_of,
    winners,
)
from simcrop.experiments.tables.over_random import (
    TITLE,
    WORDS,
    Leads,
    fields_over_random,
    lines_over_random,
    over_random,
)
from simcrop.experiments.tables.paper import NOT_READABLE, read_published
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.rows import Row
from simcrop.experiments.tables.table_rows import (
    Block,
    blocks_of,
    csv_of,
    fields_of,
    headings_of,
    interval_fields,
    lines_of,
    markdown_of,
)
from simcrop.figures.document import markdown
from simcrop.figures.grid import Heading, draw_grid
from simcrop.figures.page import Page
from simcrop.files.whole import write_json, write_whole

BUDGET = (
    "method",
    "steps",
    "scans seen",
    "parameters of the encoder",
    "parameters trained",
    "learning rate",
    "pooling",
)


@dataclass(frozen=True, eq=False)
class Told:
    """All that a table says: who was judged (`rows`) by what (`columns`), with what budget, and the `words` around it
    by their place. `over`: how far from the random start; `drawn`: of a figure.
    """

    name: str
    rows: Sequence[Row]
    columns: Sequence[JudgedColumn]
    given: Sequence[Given]
    words: Mapping[str, list[str]]
    over: Leads
    drawn: Drawn | None


def write_table(
    name: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    seeds: Sequence[int],
    places: Places,
    missing: Mapping[str, str],
    failed: Mapping[Path, str],
) -> dict[str, Any]:
    """`OUT/NAME.md`, `.csv`, `.json` and `.html`; what the JSON holds.

    `missing`: by data set why it is not there and where to get it. `failed`: by the folder that it would have left why
    a job failed.
    """
    origin, given = read_origin(name, places), given_to(rows, seeds, places)
    if name == "fig4":
        return write_heat(rows, columns, seeds, places, missing, failed, origin)
    published = read_published()
    judged = [
        judge_column(name, column, rows, seeds, places, missing, failed, published) for column in columns
    ]
    parts = texts_of(name, origin, seeds, judged, given)
    drawn, over = drawn_of(name, rows, judged), over_random(judged)
    results = results_of(name, rows, judged, given, origin, seeds, parts, over)
    results |= drawn.fields if drawn else {}
    write_json(places.table(name, "json"), results)
    write_whole(places.table(name, "csv"), drawn.csv if drawn else csv_of(judged))
    told = Told(name, rows, judged, given, parts, over, drawn)
    write_markdown(places.table(name, "md"), told)
    write_page(places.table(name, "html"), told)
    return results


def texts_of(
    name: str,
    origin: TableOrigin,
    seeds: Sequence[int],
    judged: Sequence[JudgedColumn],
    given: Sequence[Given],
) -> dict[str, list[str]]:
    """All words around the table, a list of paragraphs each."""
    won = winners(judged)
    printed = any(cell.paper is not None for of in judged for cell in of.cells)
    return {
        "caption": [caption_of(name, origin, seeds, judged)],
        "found": [*won, *(explanation(judged) if name != "fig3" else [])],
        "reading": [READING.format(draws=scores.DRAWS), PAPER if printed else NOT_READABLE.format(name[-1])],
        "open": [LEFT_OPEN, EXTENSION] if name == "table3" else [],
        "foot": [*foot_of(judged), *unranked_of(judged), *reasons_of(judged)],
        "budget": list(filter(None, [equal_words(given)])),
    }


def results_of(
    name: str,
    rows: Sequence[Row],
    judged: Sequence[JudgedColumn],
    given: Sequence[Given],
    origin: TableOrigin,
    seeds: Sequence[int],
    parts: Mapping[str, list[str]],
    over: Leads,
) -> dict[str, Any]:
    """As plain values."""
    return {
        "table": name,
        "unit": "%",
        "phantoms": origin.phantoms,
        "command": origin.command,
        "machines": list(origin.machines),
        "seeds": list(seeds),
        "draws": scores.DRAWS,
        "texts": dict(parts),
        "rows": [
            {"key": row.key, "name": row.name, "group": row.group, "switches": row.switches} for row in rows
        ],
        "columns": [column_fields(of) for of in judged],
        "cells": [fields_of(cell) for of in judged for cell in of.cells],
        "leads": [
            {
                "column": of.column.key,
                "first": lead.first.key,
                "second": lead.second.key,
                **interval_fields(lead.over),
                "beyond_chance": lead.beyond_chance,
            }
            for of in judged
            for lead in of.leads
        ],
        "over_random": fields_over_random(over),
        "budget": [
            {
                "row": of.row.key,
                "steps": of.steps,
                "scans_seen": of.scans,
                "encoder_parameters": of.encoder,
                "trained_parameters": of.trained,
                "learning_rate": of.rate,
                "pool": of.pool or None,
            }
            for of in given
        ],
    }


def column_fields(of: JudgedColumn) -> dict[str, Any]:
    """By whom a column is judged."""
    column = of.column
    return {
        "key": column.key,
        "title": column.title,
        "dataset": column.dataset,
        "metric": column.metric,
        "share": column.share,
        "scans": of.scans,
        "patients": of.patients,
        "split_hash": of.split_hash,
        "judged": list(of.names),
        "left_out": list(of.left_out),
        **({"absent": of.absent} if column.metric == "dice" else {}),
        **({"commonest": of.commonest} if column.metric == "accuracy" else {}),
    }


def write_markdown(path: Path, told: Told) -> None:
    words, drawn = told.words, told.drawn
    lines = [f"# {TITLES[told.name]}", "", *words["caption"], ""]
    if words["found"]:
        lines += ["## What it says", "", *(f"- {line}" for line in words["found"]), ""]
    if drawn:
        lines += [f"## {drawn.title}", "", drawn.words, "", *drawn.markdown, ""]
    for block in blocks_of(told.columns):
        grid = markdown_of(headings_of(block, told.rows), lines_of(block, told.rows))
        lines += [f"## {block.title}", "", *grid, ""]
    if over := lines_over_random(told.rows, told.columns, told.over):
        lines += [f"## {TITLE}", "", WORDS, "", *markdown_of(headings_alone(told), over), ""]
    for paragraph in (*words["reading"], *words["open"]):
        lines += [paragraph, ""]
    lines += [*(f"- {line}" for line in words["foot"]), ""]
    lines += ["## Budget", "", *words["budget"], "", *markdown(BUDGET, budget_rows(told.given)), ""]
    write_whole(path, "\n".join(lines).encode())


def write_page(path: Path, told: Told) -> None:
    words, drawn = told.words, told.drawn
    page = Page(TITLES[told.name], " ".join(words["caption"]))
    if drawn:
        page.section(drawn.title, drawn.words).drawing(drawn.drawing)
    for n, block in enumerate(blocks_of(told.columns)):
        page.section(block.title)
        page.drawing(draw_grid(headings_of(block, told.rows), lines_of(block, told.rows), "method"))
        if n == 0:
            if words["found"]:
                page.section("What it says", "\n\n".join(words["found"]))
            page.section("How to read it", "\n\n".join([*words["reading"], *words["open"]]))
    if over := lines_over_random(told.rows, told.columns, told.over):
        page.section(TITLE, WORDS).drawing(draw_grid(headings_alone(told), over, "method"))
    page.section("By whom it was judged", "\n\n".join(words["foot"]))
    page.section("Budget", " ".join(words["budget"])).table(budget_rows(told.given), BUDGET)
    page.write(path)


def headings_alone(told: Told) -> list[Heading]:
    """Those of our columns, without switches and the paper's."""
    ours = headings_of(Block("Ours", tuple(told.columns), beside=False), told.rows)
    return [of for of in ours if of.text != "parts"]


def budget_rows(given: Sequence[Given]) -> list[list[Any]]:
    counts = [(of.steps, of.scans, of.encoder, of.trained) for of in given]
    return [
        [of.row.name, *map(count_words, some), "–" if of.rate is None else f"{of.rate:g}", of.pool or "–"]
        for of, some in zip(given, counts, strict=True)
    ]


def count_words(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"
