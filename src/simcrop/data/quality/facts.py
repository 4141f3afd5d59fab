"""What a cohort's own tables say of it: counts, refusals, duplicates, reports, labels, masks. No voxel is read.

No axes; reports are measured in words and sentences. Studies are named by their ids, patients only counted.
"""

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import polars as pl

from simcrop.data.reports.heads import HEADLESS
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.schema import LABEL

NO_VOLUME = "no-volume"
TABLE_ENDINGS = ("csv", "json", "parquet", "txt")
FILE_NAME = re.compile(r"[^\s'\"()]*[^\s'\"().]\.(?P<ending>[A-Za-z][A-Za-z0-9]{1,6}(?:\.gz)?)\b")
PLACE = re.compile(r"[^\s'\"()]*[/\\]\S*")


@dataclass(frozen=True)
class Outlier:
    """One study that is unlike what was expected, and how."""

    id: str
    sentence: str


@dataclass(frozen=True)
class Refused:
    """Inputs turned away for one reason, with the first of them as an example."""

    reason: str
    count: int
    id: str
    sentence: str


@dataclass(frozen=True)
class Duplicates:
    """Studies with the very same voxels. Duplicates of two patients or in two splits spoil an evaluation."""

    ids: tuple[str, ...]
    patients: int
    splits: tuple[str, ...]

    @property
    def sentence(self) -> str:
        whose = f"{self.patients} patients" if self.patients > 1 else "one patient"
        where = " and ".join(self.splits) or "no split"
        return f"{whose}, in {where}"


@dataclass(frozen=True, eq=False)
class Reports:
    """`words` and `sentences`: int64 `(s,)`, one per study, findings and impression together and findings alone."""

    words: np.ndarray
    sentences: np.ndarray
    empty: tuple[str, ...]  # ids without a word of a report
    unsplit: tuple[str, ...]  # ids with a report whose findings give no sentence: nothing to align
    without_scan: tuple[str, ...]  # ids of the ledger
    headless: tuple[str, ...]  # ids with a whole report in which no head says what is findings


@dataclass(frozen=True)
class LabelCount:
    """How many studies have a label, of those where it is known."""

    name: str
    positive: int
    known: int


def count_by(column: pl.Series) -> dict[str, int]:
    """Value -> how often, by name."""
    counts = column.value_counts().sort(column.name)
    return {str(value): int(count) for value, count in counts.rows()}


def stored_bytes(cohort: Cohort) -> int:
    """Of the volumes and masks on disk; one that is gone counts nothing."""
    paths = (path for study in cohort for path in study.files)
    return sum(path.stat().st_size for path in paths if path.is_file())


def refusals(cohort: Cohort) -> list[Refused]:
    """The most frequent reason first."""
    table = cohort.ledger.filter(pl.col("status") == "refused")
    firsts = table.group_by("reason", maintain_order=True).agg(
        pl.len().alias("count"), pl.col("id", "path", "sentence").first()
    )
    found = [
        Refused(row["reason"], row["count"], row["id"], without_places(row["sentence"], row["path"]))
        for row in firsts.iter_rows(named=True)
    ]
    return sorted(found, key=lambda refused: -refused.count)


def without_places(sentence: str, path: str | None) -> str:
    """A ledger's sentence without files and folders, whose names may be people's."""
    if path:
        sentence = sentence.replace(f"{path}: ", "").replace(path, "(a file)")
    sentence = PLACE.sub("(a file)", sentence)
    return FILE_NAME.sub(lambda found: found[0] if found["ending"] in TABLE_ENDINGS else "(a file)", sentence)


def duplicates(cohort: Cohort) -> list[Duplicates]:
    """Groups of studies with one checksum, in the order of the index."""
    groups = (
        cohort.index.group_by("checksum", maintain_order=True)
        .agg(pl.col("id"), pl.col("patient").n_unique(), pl.col("split").unique(maintain_order=True))
        .filter(pl.col("id").list.len() > 1)
    )
    return [
        Duplicates(tuple(row["id"]), row["patient"], tuple(sorted(part for part in row["split"] if part)))
        for row in groups.iter_rows(named=True)
    ]


def patients_in_two_splits(cohort: Cohort) -> int:
    """How many patients lie on more than one side."""
    sides: dict[str, set[str]] = defaultdict(set)
    for patient, split in cohort.index.select("patient", "split").iter_rows():
        sides[patient].add(split)
    return sum(len(parts) > 1 for parts in sides.values())


def reports(cohort: Cohort) -> Reports:
    """Lengths per study, and the pairs that miss a side. Sentences were counted by ingest, with our own splitter."""
    index = cohort.index
    text = pl.concat_str(pl.col("findings", "impression").fill_null(""), separator=" ")
    words = index.select(text.str.count_matches(r"\S+").alias("words"))["words"].to_numpy().astype(np.int64)
    sentences = index["sentences"].fill_null(0).to_numpy().astype(np.int64)
    ids = index["id"].to_list()
    headless = pl.col("sentence").str.contains(HEADLESS, literal=True)
    lost = cohort.ledger.filter((pl.col("status") == "refused") & (pl.col("reason") == NO_VOLUME))
    return Reports(
        words=words,
        sentences=sentences,
        empty=tuple(id for id, n in zip(ids, words, strict=True) if n == 0),
        unsplit=tuple(id for id, n, s in zip(ids, words, sentences, strict=True) if n > 0 and s == 0),
        without_scan=tuple(lost["id"].to_list()),
        headless=tuple(cohort.ledger.filter((pl.col("status") == "taken") & headless)["id"].to_list()),
    )


def label_counts(cohort: Cohort) -> list[LabelCount]:
    """The most frequent label first."""
    columns = [(name, cohort.index[f"{LABEL}{name}"]) for name in cohort.labels]
    counts = [LabelCount(name, int((c == 1).sum()), int(c.is_not_null().sum())) for name, c in columns]
    return sorted(counts, key=lambda label: -label.positive)


def class_counts(cohort: Cohort) -> list[LabelCount]:
    """How many masks hold each class, of all masks, in the order of the classes."""
    masks = cohort.index["mask_values"].drop_nulls()
    held = masks.explode().value_counts()
    counts = dict(held.iter_rows())
    return [LabelCount(name, counts.get(number, 0), len(masks)) for number, name in cohort.classes.items()]
