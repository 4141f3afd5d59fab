"""How heads are trained: the settings of each data set and share as data files, and which of them fits a cohort."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from typing import Any, Literal

from pydantic import Field, model_validator

from simcrop.evaluation.shipped import read_tree, settings_of, shipped_names
from simcrop.settings import Settings

WHAT, PACKAGE = "table of head settings", "simcrop.probes"
LabelKind = Literal["several", "exclusive", "one"]


class HeadSettings(Settings):
    """`steps`: of the optimiser, at most. `warmup`: so many of them, fewer than all. `patience`: epochs without a
    better one, after the warm-up, that end it. `clip_grad`: the longest gradient; `init_std` of the first weights.
    """

    batch: int = Field(ge=1)
    lr: float = Field(gt=0)
    steps: int = Field(ge=1)
    warmup: int = Field(ge=0)
    patience: int = Field(ge=1)
    weight_decay: float = Field(default=1e-5, ge=0)
    clip_grad: float = Field(default=1.0, gt=0)
    init_std: float = Field(default=2e-5, ge=0)

    @model_validator(mode="after")
    def _warms_up_before_the_end(self) -> "HeadSettings":
        if self.warmup >= self.steps:
            raise ValueError(f"a warm-up of {self.warmup} steps leaves none of {self.steps}")
        return self


class Row(HeadSettings):
    """For one `share` of the training patients (None: for any), and how many scans that is in its data set."""

    share: float | None = Field(default=None, gt=0, le=1)
    scans: int | None = Field(default=None, ge=1)

    @property
    def head(self) -> HeadSettings:
        return HeadSettings(**{name: getattr(self, name) for name in HeadSettings.model_fields})


class HeadTable(Settings):
    """The rows of one data set: `layout` is the name under which it is ingested."""

    rows: tuple[Row, ...] = Field(min_length=1)
    whose: str = ""
    layout: str = ""
    labels: LabelKind = "several"


@dataclass(frozen=True)
class Chosen:
    """Settings of one share; `own`: whether they were meant for it; `words` say whose they are."""

    settings: HeadSettings
    own: bool
    words: str

    @property
    def said(self) -> dict[str, Any]:
        """For `metrics.json`."""
        return {**self.settings.model_dump(), "own": self.own, "whose": self.words}


def read_table(name: str) -> HeadTable:
    """A shipped table by name, or a YAML file: such a table, or one row that serves every share."""
    tree = read_tree(WHAT, PACKAGE, name)
    if "rows" in tree:
        return settings_of(HeadTable, WHAT, name, tree, Row)
    return HeadTable(rows=(settings_of(Row, WHAT, name, tree),))


def settings_for(table: str | None, layout: str, labels: LabelKind, share: float, scans: int) -> Chosen:
    """Of the table that is named, or the cohort's own (`layout`), the row for that share, or the nearest one; for a
    data set without a table the row of the same kind of labels that learned from about as many scans.
    """
    name = table or (layout if layout in shipped_names(PACKAGE) else None)
    if name is None:
        rows = [
            (each, row)
            for each in shipped_names(PACKAGE)
            if (of := read_table(each)).labels == labels
            for row in of.rows
        ]
        near, row = min(rows, key=lambda one: distance(float(one[1].scans or scans), float(scans)))
        words = f"no table of this data set; nearest by number of scans is {named(near, row)}"
        return Chosen(row.head, False, words)
    rows_here = read_table(name).rows
    for row in rows_here:
        if row.share is None or distance(row.share, share) < 1e-6:
            return Chosen(row.head, True, named(name, row))
    row = nearest(rows_here, share)
    return Chosen(
        row.head, False, f"{name} has no row for {percent(share)}; the nearest is {named(name, row)}"
    )


def nearest(rows: Iterable[Row], share: float) -> Row:
    """Of two as near the larger share."""
    return min(rows, key=lambda row: (distance(row.share or share, share), -(row.share or share)))


def distance(one: float, other: float) -> float:
    """As a factor, so that 1 % and 10 % are as far apart as 10 % and all."""
    return abs(log(one / other))


def named(name: str, row: Row) -> str:
    return f"{name} for {'every share' if row.share is None else percent(row.share)}"


def percent(share: float) -> str:
    return f"{100 * share:.4g} %"
