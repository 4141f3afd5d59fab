"""What one job left, as numbers per scan: the scores of a probe or a transfer, the Dice of a segmentation.

Axes: k repetition within the folder, s scan in the order of ids, l label, class or organ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.errors import SimcropError
from simcrop.evaluation.segmentation import values_of
from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.places import Places
from simcrop.files.whole import read_json
from simcrop.tasks.folder import METRICS
from simcrop.tasks.probing.figures import PREDICTIONS
from simcrop.tasks.segmentation.table import read_table

COLUMNS = ("share", "seed", "id", "patient", "label", "score", "truth")  # of predictions.parquet
NOT_YET, NOT_FINISHED, OTHER_SCANS = (
    "not yet run",
    "not finished",
    "judged by other scans, or another truth, than the rest of the column",
)


@dataclass(frozen=True, eq=False)
class Answers:
    """`values` `(k, s, l)`: scores, or Dice. `truth` `(s, l)`: 1, 0 or NaN; of a segmentation millilitres. `question`:
    what was asked of whom; answers can be compared where it is the same. `false_positives`: organs drawn in scans that
    have none.
    """

    ids: tuple[str, ...]
    patients: np.ndarray
    names: tuple[str, ...]
    truth: np.ndarray
    values: np.ndarray
    split_hash: str
    question: tuple[object, ...]
    false_positives: int = 0

    def same_question(self, other: "Answers") -> bool:
        return self.question == other.question and np.array_equal(self.truth, other.truth, equal_nan=True)


class NoAnswerError(Exception):
    """A cell stays empty; the message is the reason."""


def folder_of(column: Column, row: str, seed: int, places: Places) -> Path:
    """Where the job of a cell leaves its results."""
    if column.task == "segment":
        return places.segment(row, seed, column.dataset, column.share)
    if column.task == "transfer":
        return places.transfer(row, seed)
    return places.probe(row, seed, column.dataset)


def read_answers(
    column: Column, row: str, seed: int, places: Places, failed: Mapping[Path, str] | None = None
) -> Answers:
    """Raises NoAnswerError where there is none. `failed`: why a job, or the training before it, left no result."""
    folder, failed = folder_of(column, row, seed, places), failed or {}
    if not (folder / METRICS).is_file():
        for place in (places.run(row, seed), folder):
            if place in failed:
                raise NoAnswerError(f"failed: {failed[place]}")
        raise NoAnswerError(NOT_FINISHED if folder.exists() else NOT_YET)
    try:
        found = segmented(folder) if column.task == "segment" else predicted(folder, column.share)
    except SimcropError as error:
        raise NoAnswerError(f"unreadable: {error.sentence}") from error
    if found is None:
        raise NoAnswerError(f"left out: {100 * column.share:g} % hold too few patients for every label")
    return found


def predicted(folder: Path, share: float) -> Answers | None:
    """Of a folder of `simcrop probe` or `simcrop transfer`; None where the probe has left out the share."""
    try:
        table = pl.read_parquet(folder / PREDICTIONS).select(COLUMNS)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SimcropError("bad-input", f"no sound {PREDICTIONS}") from error
    table = table.filter((pl.col("share") - share).abs() < 1e-9)
    if not len(table):
        return None
    names = table["label"].unique(maintain_order=True).to_list()
    ids = sorted(table["id"].unique().to_list())
    table = table.sort("seed", "id", pl.col("label").cast(pl.Enum(names)))
    shape = (-1, len(ids), len(names))
    if len(table) % (len(ids) * len(names)):
        raise SimcropError("bad-input", f"{PREDICTIONS} is not whole")
    truth = numbers(table["truth"]).reshape(shape)[0]
    patients = table["patient"].to_numpy().reshape(shape)[0, :, 0]
    return Answers(
        tuple(ids),
        patients,
        tuple(names),
        truth,
        numbers(table["score"]).reshape(shape),
        read_json(folder / METRICS)["split_hash"]["test"],
        (tuple(ids), tuple(names), tuple(patients.tolist())),
    )


def segmented(folder: Path) -> Answers:
    """Of a folder of `simcrop segment`."""
    scans = sorted(read_table(folder), key=lambda scan: scan.scores.study)
    scores = [scan.scores for scan in scans]
    names, ids = tuple(scores[0].scores), tuple(of.study for of in scores)
    every = [score for of in scores for score in of.scores.values()]
    patients = tuple(of.patient for of in scores)
    return Answers(
        ids,
        np.array(patients),
        names,
        np.array([[score.truth_ml for score in of.scores.values()] for of in scores]),
        values_of(scores, "dice")[None],
        split_hash_of(read_json(folder / METRICS)),
        (ids, names, patients, tuple(scan.truth for scan in scans)),
        sum(score.false_positive for score in every),
    )


def split_hash_of(metrics: Mapping[str, Any]) -> str:
    """Of a segmentation."""
    return str(metrics["split_hash"])


def numbers(column: pl.Series) -> np.ndarray:
    """Float, NaN where the table has nothing."""
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def alike(answers: Sequence[Answers]) -> list[bool]:
    """Which of them answer the question that most of them were asked; of equally many the first."""
    votes = [sum(one.same_question(other) for other in answers) for one in answers]
    asked = answers[votes.index(max(votes))]
    return [one.same_question(asked) for one in answers]
