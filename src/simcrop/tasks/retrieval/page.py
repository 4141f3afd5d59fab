"""What `simcrop retrieve` leaves: `metrics.json`, `ranks.parquet` and the page. Axes: q query."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.figures.page import Page
from simcrop.files.tables import write_csv, write_parquet
from simcrop.metrics.intervals import Interval
from simcrop.tasks.intervals import bounds, without_nan, written
from simcrop.tasks.retrieval.judged import OF_SENTENCES, Alike, Found, QueryRanks

RANKS, TYPED = "ranks.parquet", "top_scans.csv"
RANK = "rank"
COUNTS = ("above", "tied", "among")  # of a rank
SHOWN_BELOW = 10  # typed sentences on the page: their nearest scans


def found_figures(found: Found) -> dict[str, Any]:
    """One question in `metrics.json`."""
    median, mean = found.chance_ranks
    precision = {}
    if found.precision is not None:
        precision = {**bounds("mAP", found.precision), "chance_mAP": found.chance_precision}
    return {
        **{name: getattr(found, name) for name in ("direction", "pool", "queries", "candidates")},
        **{key: v for k, of in found.recall.items() for key, v in bounds(f"recall_at_{k}", of).items()},
        **{f"chance_at_{k}": of for k, of in found.chance.items()},
        "median_rank": found.median_rank,
        "mean_rank": found.mean_rank,
        "chance_median_rank": median,
        "chance_mean_rank": mean,
        **precision,
    }


def alike_figures(alike: Alike) -> dict[str, Any]:
    """One variant of scan -> scan."""
    return {
        "queries": float(alike.queries),
        "candidates": alike.candidates,
        **{key: v for k, of in alike.precision.items() for key, v in bounds(f"mAP@{k}", of).items()},
        **{f"chance_mAP@{k}": of for k, of in alike.chance.items()},
    }


def figures(found: Sequence[Found], alike: Sequence[Alike], facts: dict[str, Any]) -> dict[str, Any]:
    """`metrics.json`."""
    return without_nan(
        {
            "retrieval": [found_figures(one) for one in found],
            "scan_to_scan": {one.name: alike_figures(one) for one in alike},
            **facts,
        }
    )


def write_ranks(path: Path, found: Sequence[Found], alike: Sequence[Alike]) -> None:
    """What was found of every query, for `simcrop compare`: direction, pool, measure, query, patients, value, and
    of a rank the counts that it was made of (`Places`). A query is the id of its scan, or of a sentence a digest that
    does not tell its words; patients are numbers.
    """
    blocks = [(one.direction, one.pool, RANK, one.asked) for one in found if one.asked is not None]
    blocks += [
        ("scan -> scan", one.name, f"AP@{k}", asked) for one in alike for k, asked in one.asked.items()
    ]
    number: dict[str, int] = {}
    for name in sorted({str(name) for *_, asked in blocks for of in asked.patients for name in of}):
        number[name] = len(number)
    write_parquet(path, pl.concat([rows_of(*block, number) for block in blocks]))


def rows_of(
    direction: str, pool: str, measure: str, asked: QueryRanks, number: dict[str, int]
) -> pl.DataFrame:
    names = map(digest, asked.names) if direction == OF_SENTENCES else map(str, asked.names)
    return pl.DataFrame(
        {
            "query": list(names),
            "patients": [[number[str(name)] for name in of] for of in asked.patients],
            "value": asked.found.astype(np.float64),
            **{name: counts_of(asked, name) for name in COUNTS},
        }
    ).select(
        pl.lit(direction).alias("direction"),
        pl.lit(pool).alias("pool"),
        pl.lit(measure).alias("measure"),
        "*",
    )


def counts_of(asked: QueryRanks, name: str) -> pl.Series:
    """Null where there is no rank."""
    counts = [None] * len(asked.found) if asked.places is None else getattr(asked.places, name)
    return pl.Series(counts, dtype=pl.Int32)


def digest(sentence: str) -> str:
    return blake2b(sentence.encode(), digest_size=8).hexdigest()


def write_typed(path: Path, top: Sequence[Sequence[tuple[str, float]]]) -> None:
    """The nearest scans of every typed sentence, which stands here by its number alone."""
    lines = [
        (number, rank, name, f"{score:.6f}")
        for number, scans in enumerate(top, start=1)
        for rank, (name, score) in enumerate(scans, start=1)
    ]
    write_csv(path, ("sentence", "rank", "id", "score"), lines)


def write_page(
    path: Path,
    found: Sequence[Found],
    alike: Sequence[Alike],
    lead: str,
    typed: Sequence[tuple[str, Sequence[tuple[str, float]]]],
) -> None:
    """A few columns per table, so that an interval stands in one line; chance in the line below every figure."""
    page = Page("Retrieval", lead)
    for words, scans in typed:
        page.section(f"\N{LEFT DOUBLE QUOTATION MARK}{words}\N{RIGHT DOUBLE QUOTATION MARK}")
        page.table([[name, f"{score:.3f}"] for name, score in scans[:SHOWN_BELOW]], ["scan", "score"])
    for pool in dict.fromkeys(one.pool for one in found):
        those = [one for one in found if one.pool == pool]
        page.section(pool[0].upper() + pool[1:], f"{those[0].candidates} candidates. {CAPTION}")
        at = list(those[0].recall)
        for some in (at[:3], at[3:]):
            if some:
                rows = [row for one in those for row in recall_rows(one, some)]
                page.table(rows, ["", *(f"R@{k}" for k in some)])
        page.table(
            [row for one in those for row in rank_rows(one)], ["", "queries", "median rank", "mean rank"]
        )
        if precise := [one for one in those if one.precision is not None]:
            page.table([row for one in precise for row in precision_rows(one)], ["", "mAP"])
    if alike:
        page.section(
            "Scan to scan",
            "By the cosine of pooled features, the first volume of each study. "
            "Mean average precision over the first k; the published variants differ in what counts and what it is "
            f"divided by. {CAPTION}",
        )
        for one in alike:
            at = list(one.precision)
            for some in (at[:3], at[3:]):
                if some:
                    page.table(
                        alike_rows(one, some),
                        [f"{one.name}, {one.queries} queries", *(f"mAP@{k}" for k in some)],
                    )
    page.write(path)


CAPTION = "In brackets the 95 % interval over patients; below each line, what chance would find."


def recall_rows(found: Found, at: Sequence[int]) -> list[list[object]]:
    return two_rows(found.direction, [found.recall[k] for k in at], [found.chance[k] for k in at])


def precision_rows(found: Found) -> list[list[object]]:
    assert found.precision is not None
    return two_rows(found.direction, [found.precision], [found.chance_precision])


def alike_rows(alike: Alike, at: Sequence[int]) -> list[list[object]]:
    return two_rows("cosine", [alike.precision[k] for k in at], [alike.chance[k] for k in at])


def two_rows(name: str, values: Sequence[Interval], chance: Sequence[float]) -> list[list[object]]:
    """What was found, and what chance would find."""
    return [[name, *map(written, values)], ["by chance", *(f"{of:.3f}" for of in chance)]]


def rank_rows(found: Found) -> list[list[object]]:
    chance = ["–" if np.isnan(of) else f"{of:.1f}" for of in found.chance_ranks]
    ranks = [f"{of:.1f}" for of in (found.median_rank, found.mean_rank)]
    return [[found.direction, f"{found.queries}", *ranks], ["by chance", "", *chance]]
