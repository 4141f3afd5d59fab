"""What `simcrop probe` found, as files: `metrics.json` and `predictions.parquet`. Axes: k repetition, s scan, l
label.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.data.store.cohort import Cohort
from simcrop.evaluation.heads.classes import JudgedClasses
from simcrop.evaluation.judgement import Judgement
from simcrop.evaluation.subgroups import Subgroup
from simcrop.files.tables import write_parquet
from simcrop.tasks.intervals import bounds

PREDICTIONS = "predictions.parquet"
# A drawn cohort that is told apart without error has no line.
SELDOM_DEFINED = ("calibration_intercept", "calibration_slope")


def block(judged: Judgement) -> dict[str, Any]:
    """Macro figures, each with how many labels it is the mean of, and how many drawn cohorts had all of these; those of
    each label; who is absent, and of whom nothing was decided.
    """
    return {
        **{
            key: value
            for name, found in judged.macro.items()
            for key, value in bounds(f"macro_{name}", found, draws=True).items()
        },
        **{f"macro_{name}_labels": judged.over(name) for name in judged.macro},
        "labels": {
            label.name: {
                **{
                    key: value
                    for name, found in label.figures.items()
                    for key, value in bounds(name, found, name in SELDOM_DEFINED).items()
                },
                "threshold": label.threshold,
                "positives": label.positives,
                "negatives": label.negatives,
                "unknown": label.unknown,
            }
            for label in judged.labels
        },
        "labels_absent": list(judged.absent),
        "labels_without_threshold": list(judged.undecided),
        "draws": judged.draws,
    }


def class_block(judged: JudgedClasses) -> dict[str, Any]:
    """Of labels that exclude one another; rows are true classes, columns those that were named."""
    parts = {"shares": "value", "shares_low": "low", "shares_high": "high"}
    return {
        **bounds("accuracy", judged.accuracy),
        **bounds("balanced_accuracy", judged.balanced_accuracy),
        "confusion": {
            "classes": list(judged.names),
            "scans": judged.confusion.tolist(),
            **{
                name: [[getattr(cell, part) for cell in row] for row in judged.shares]
                for name, part in parts.items()
            },
        },
    }


def group_rows(groups: Sequence[Subgroup]) -> list[dict[str, Any]]:
    """One entry per subgroup; `macro_auroc` is null where no label has enough positives."""
    return [
        {
            "column": group.column,
            "value": group.value,
            "scans": group.scans,
            "patients": group.patients,
            **(block(group.judged) if group.judged else {"macro_auroc": None, "labels": {}}),
        }
        for group in groups
    ]


def write_predictions(
    path: Path,
    testing: Cohort,
    scores: Mapping[float, np.ndarray],
    seeds: Sequence[int],
    truth: np.ndarray,
    names: Sequence[str],
) -> None:
    """One row per share, seed, test scan and label: share, seed, id, patient (a number: scans of one share it), label,
    score, truth; null where there is none. `scores` `(k, s, l)` by share.
    """
    number = np.unique(testing.index["patient"].to_numpy(), return_inverse=True)[1]
    tables = [
        pl.DataFrame(
            {
                "share": np.full(one.size, share),
                "seed": np.full(one.size, seed),
                "id": np.repeat(testing.index["id"].to_list(), len(names)),
                "patient": np.repeat(number, len(names)),
                "label": list(names) * len(one),
                "score": one.reshape(-1).astype(np.float64),
                "truth": truth.reshape(-1),
            }
        )
        for share, of_share in scores.items()
        for seed, one in zip(seeds, of_share, strict=True)
    ]
    joined = pl.concat(tables).with_columns(
        pl.col("score").fill_nan(None), pl.col("truth").fill_nan(None).cast(pl.Int8)
    )
    write_parquet(path, joined)
