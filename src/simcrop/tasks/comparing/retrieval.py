"""`simcrop compare` on results of `simcrop retrieve`: the same queries, and which of them finds more beyond chance.

Axes: m method, q query, b drawn cohort.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.errors import SimcropError
from simcrop.figures.page import Page
from simcrop.metrics import interval_of
from simcrop.metrics.intervals import Interval
from simcrop.metrics.retrieval import Places
from simcrop.tasks.comparing.facts import facts_of, named
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.intervals import bounds, without_nan, written
from simcrop.tasks.retrieval.judged import QueryRanks
from simcrop.tasks.retrieval.page import COUNTS, RANK, RANKS

KEY = ("direction", "pool", "measure")
AT = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Question:
    """One measure of one direction in one pool: what each method reached, and the difference of every pair."""

    direction: str
    pool: str
    measure: str
    queries: int
    values: list[Interval]
    differences: dict[tuple[int, int], Interval]


def compare_retrievals(
    folders: Sequence[Path], names: Sequence[str], out: Path, seed: int, overwrite: bool
) -> Path:
    """`metrics.json` and `report.html`; refused unless all were asked about the same patients by the same texts."""
    facts = [facts_of(folder, named("split_hash", "text", "top_k")) for folder in folders]
    if len({of["split_hash"] for of in facts}) > 1:
        raise SimcropError(
            "other-scans", "the results are of different test patients: their split hashes differ"
        )
    if len(texts := dict.fromkeys(of["text"] for of in facts)) > 1:
        raise SimcropError("other-scans", f"the results are of different texts: {', '.join(map(str, texts))}")
    questions = asked_of_all([read_ranks(folder) for folder in folders], seed)
    if not questions:
        raise SimcropError(
            "other-scans", "the results have no queries in common: they are of different scans"
        )
    settings = {"folders": [str(folder) for folder in folders], "seed": seed}
    with staged(out, "compare", settings, overwrite) as stage:
        write_metrics(stage, figures(questions, names, facts, seed))
        write_page(stage / "report.html", questions, names, facts)
    return out / "report.html"


def read_ranks(folder: Path) -> pl.DataFrame:
    """Of a folder that `simcrop retrieve` wrote."""
    try:
        table = pl.read_parquet(folder / RANKS)
        if not {*COUNTS} & {*table.columns}:
            raise SimcropError(
                "bad-input",
                f"{folder}/{RANKS} was written before ties were counted, which R@k needs: run `simcrop retrieve` again",
            )
        return table.select(*KEY, "query", "patients", "value", *COUNTS).sort(*KEY, "query")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SimcropError(
            "bad-input", f"{folder} is no sound result of `simcrop retrieve`: {RANKS}"
        ) from error


def asked_of_all(tables: Sequence[pl.DataFrame], seed: int) -> list[Question]:
    """What all were asked with the same queries, in the order of the first."""
    blocks = [table.partition_by(*KEY, as_dict=True, maintain_order=True) for table in tables]
    found: list[Question] = []
    for key, first in blocks[0].items():
        of = [each[key] for each in blocks if key in each]
        if len(of) < len(blocks) or any(not first["query"].equals(other["query"]) for other in of[1:]):
            continue
        patients = [np.array(each) for each in first["patients"].to_list()]
        drawn = QueryRanks(first["query"].to_list(), patients, first["value"].to_numpy()).drawn(seed)
        direction, pool, measure = map(str, key)
        found += [
            question((direction, pool, name), np.stack([hit(each) for each in of]), drawn)
            for name, hit in measures(measure).items()
        ]
    return found


def measures(kept: str) -> dict[str, Callable[[pl.DataFrame], np.ndarray]]:
    """What is made of ranks, or of precisions as they are, `(q,)` of the rows of one method."""
    if kept != RANK:
        return {f"m{kept}": lambda rows: rows["value"].to_numpy()}
    return {
        f"R@{k}": lambda rows, k=k: Places(*(rows[name].to_numpy() for name in COUNTS)).hits(k) for k in AT
    }


def question(key: tuple[str, str, str], hits: np.ndarray, drawn: np.ndarray) -> Question:
    """`hits` `(m, q)`; every pair is judged on the same drawn patients."""
    means = drawn @ hits.T / drawn.sum(1, keepdims=True)
    values = [interval_of(float(of.mean()), each) for of, each in zip(hits, means.T, strict=True)]
    differences = {
        (i, j): interval_of(float(hits[i].mean() - hits[j].mean()), means[:, i] - means[:, j])
        for i, j in combinations(range(len(hits)), 2)
    }
    return Question(*key, hits.shape[1], values, differences)


def figures(
    questions: Sequence[Question], names: Sequence[str], facts: Sequence[dict[str, Any]], seed: int
) -> dict[str, Any]:
    """`metrics.json`."""
    return without_nan(
        {
            "seed": seed,
            "split_hash": facts[0]["split_hash"],
            "text": facts[0]["text"],
            "top_k": {name: of["top_k"] for name, of in zip(names, facts, strict=True)},
            "retrieval": [
                {
                    **{name: getattr(one, name) for name in (*KEY, "queries")},
                    "methods": {
                        name: bounds("value", of) for name, of in zip(names, one.values, strict=True)
                    },
                    "pairs": [
                        {"first": names[i], "second": names[j], **bounds("difference", of)}
                        for (i, j), of in one.differences.items()
                    ],
                }
                for one in questions
            ],
        }
    )


def write_page(
    path: Path, questions: Sequence[Question], names: Sequence[str], facts: Sequence[dict[str, Any]]
) -> None:
    """A section per pool, in it a table per direction and pair."""
    scored = {of["top_k"] for of in facts}
    each = ", ".join(f"{name} {of['top_k'] or 'none'}" for name, of in zip(names, facts, strict=True))
    patches = f" Patches that score a sentence: {each}." if len(scored) > 1 else ""
    page = Page(
        "Comparison",
        f"The same queries, {facts[0]['text']}, in the same pools.{patches} In brackets 95 % intervals, of differences "
        "over the same drawn patients. A difference is beyond chance where its interval leaves out 0; no correction is "
        "made for how many are looked at.",
    )
    for place in dict.fromkeys((one.pool, one.direction) for one in questions):
        those = [one for one in questions if (one.pool, one.direction) == place]
        page.section(f"{place[1]}: {place[0]}", f"{those[0].queries} queries.")
        page.table(
            [[one.measure, *map(written, one.values)] for one in those],
            ["", *names],
        )
        rows = [
            [f"{names[i]} − {names[j]}", one.measure, written(of), "yes" if of.beyond_zero else "no"]
            for one in those
            for (i, j), of in one.differences.items()
        ]
        page.table(rows, ["difference", "of", "", "beyond chance"])
    page.write(path)
