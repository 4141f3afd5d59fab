"""`segmentation.parquet`: what each scan's mask is worth, class by class, one row each. No axes; lengths in mm,
volumes in ml.

While scans are judged their rows go to a file that grows, so that a judgement which was interrupted goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.errors import SimcropError
from simcrop.evaluation.segmentation import ScanScores
from simcrop.files.tables import write_parquet
from simcrop.metrics.segmentation import ClassScore

SEGMENT = "segment"  # the verb
TABLE, JUDGED = "segmentation.parquet", "judged.jsonl"
NUMBERS = tuple(ClassScore.__dataclass_fields__)


@dataclass(frozen=True)
class JudgedScan:
    """`truth`: checksum of the label volume that the mask was held against; `fold`: in which it was held out, 0 where
    there are none.
    """

    scores: ScanScores
    truth: str
    fold: int = 0

    @property
    def dice(self) -> float:
        """The mean over the classes that are there; NaN where none is."""
        values = [score.dice for score in self.scores.scores.values() if score.present]
        return float(np.mean(values)) if values else float("nan")


def line_of(scan: JudgedScan) -> dict[str, Any]:
    """As it stands in the file that grows; patients are known from the cohort."""
    scores = {
        name: {key: None if value != value else value for key, value in vars(score).items()}
        for name, score in scan.scores.scores.items()
    }
    return {"id": scan.scores.study, "truth": scan.truth, "fold": scan.fold, "scores": scores}


def scan_of(line: Mapping[str, Any], patient: str) -> JudgedScan:
    scores = {name: score_of(numbers) for name, numbers in line["scores"].items()}
    return JudgedScan(ScanScores(line["id"], patient, scores), line["truth"], line["fold"])


def score_of(numbers: Mapping[str, Any]) -> ClassScore:
    """What JSON and tables have as null is NaN."""
    return ClassScore(**{key: float("nan") if (of := numbers[key]) is None else of for key in NUMBERS})


def write_table(path: Path, scans: Sequence[JudgedScan]) -> None:
    """Columns fold, id, patient (a number: scans of one share it), class, truth, and the scores, null where there is
    nothing to score.
    """
    number = {name: n for n, name in enumerate(sorted({scan.scores.patient for scan in scans}))}
    rows = [
        {
            "fold": scan.fold,
            "id": scan.scores.study,
            "patient": number[scan.scores.patient],
            "class": name,
            "truth": scan.truth,
            **vars(score),
        }
        for scan in scans
        for name, score in scan.scores.scores.items()
    ]
    write_parquet(path, pl.DataFrame(rows).with_columns(pl.col(NUMBERS).fill_nan(None)))


def read_table(folder: Path) -> list[JudgedScan]:
    """Of a folder that `simcrop segment` wrote, in the order of ids."""
    try:
        table = pl.read_parquet(folder / TABLE).sort("id", maintain_order=True)
        rows = table.select("fold", "id", "patient", "class", "truth", *NUMBERS).to_dicts()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SimcropError(
            "bad-input", f"{folder} is no result of `simcrop segment` with scans held out: no sound {TABLE}"
        ) from error
    scans: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        scans.setdefault(row["id"], []).append(row)
    return [
        JudgedScan(
            ScanScores(name, str(of[0]["patient"]), {row["class"]: score_of(row) for row in of}),
            of[0]["truth"],
            of[0]["fold"],
        )
        for name, of in scans.items()
    ]
