"""`sentences.csv`: what each sentence's map is worth, one row each: numbers alone, no word of a report, no name. And
the figures of `metrics.json`. Lengths in mm, volumes in ml.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from simcrop.errors import SimcropError
from simcrop.evaluation.grounding.scores import MEASURES, Judged
from simcrop.evaluation.grounding.summary import GROUPS, Group, groups_of
from simcrop.files.whole import write_whole
from simcrop.metrics.intervals import Interval
from simcrop.tasks.intervals import bounds, without_nan

GROUND_EVAL = "ground-eval"  # the verb
SENTENCES = "sentences.csv"
KEYS = ("scan", "patient", "sentence", "finding", "side", "lesion_ml", "size_mm")


def column_of(measure: str, who: str) -> str:
    return measure if who == "own" else f"{measure}_{who}"


def table_of(judged: Sequence[Judged], rows: Mapping[str, int], patients: Mapping[str, int]) -> pl.DataFrame:
    """`scan`: its row in the cohort's index, `patient`: a number that scans of one share, `sentence`: counts from 0
    within its report, or within the scan's rows of a table of sentences; null where a measure is not defined.
    """
    lines = [
        {
            "scan": rows[of.question.study],
            "patient": patients[of.question.patient],
            "sentence": of.question.number,
            "finding": of.question.kind,
            "side": of.question.side,
            "lesion_ml": of.ml,
            "size_mm": of.size_mm,
            **{column_of(*key): value for key, value in of.values.items()},
        }
        for of in judged
    ]
    return pl.DataFrame(lines).with_columns(pl.selectors.float().fill_nan(None))


def write_table(path: Path, table: pl.DataFrame) -> None:
    write_whole(path, table.write_csv().encode())


def read_table(folder: Path) -> pl.DataFrame:
    """Of a folder that `simcrop ground-eval` wrote, in the order of scans and sentences."""
    wanted = {**dict.fromkeys(KEYS, pl.Int64), **dict.fromkeys(MEASURES, pl.Float64)}
    wanted |= {"finding": pl.String, "side": pl.String, "lesion_ml": pl.Float64, "size_mm": pl.Float64}
    try:
        table = pl.read_csv(folder / SENTENCES, infer_schema=False)
        return table.select(pl.col(name).cast(kind) for name, kind in wanted.items()).sort("scan", "sentence")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SimcropError(
            "bad-input", f"{folder} is no result of `simcrop ground-eval`: no sound {SENTENCES} in it"
        ) from error


def figures_of(group: Group) -> dict[str, Any]:
    """Each measure with that of everyone whom it must beat."""
    measures: dict[str, dict[str, float]] = {}
    for (measure, who), found in group.figures.items():
        measures.setdefault(measure, {}).update(bounds(who, found))
    return {"sentences": group.sentences, "patients": group.patients, **measures}


def metrics_of(
    every: Group, judged: Sequence[Judged], says: Mapping[str, Interval], facts: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """`metrics.json`."""
    groups = {by: {group.name: figures_of(group) for group in groups_of(judged, by, seed)} for by in GROUPS}
    auroc = {
        key: value for name, found in says.items() for key, value in bounds(f"auroc_{name}", found).items()
    }
    return without_nan({"all": figures_of(every), **groups, "says_nothing": auroc, **facts})
