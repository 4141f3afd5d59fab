"""What the masks of a cohort stand for where sentences are marked: a row of `findings.parquet` for each sentence.

Axes: x, y, z of the resampled grid or of the scan's file, as of the labels that are asked about. Findings overlap, so a
label is no class: of each finding the table says which labels belong to it, and to which of its instances.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from simcrop.data.findings import Finding, is_focal
from simcrop.data.store.cohort import Cohort, damaged
from simcrop.data.store.format import FINDINGS
from simcrop.data.store.schema import Schema
from simcrop.errors import SimcropError

FINDINGS_SCHEMA: Schema = {
    "id": pl.String(),
    "number": pl.Int64(),
    "text": pl.String(),
    "category": pl.String(),
    "complete": pl.Boolean(),
    "values": pl.List(pl.Int64()),
    "instances": pl.List(pl.Int64()),
}
INSIDE, OUTSIDE, UNKNOWN = 1, 0, -1
Parts = Sequence[Sequence[int]]  # value, finding, instance


@dataclass(frozen=True)
class MarkedFinding:
    """One sentence and its mask. `values` of the label volume are of its `instances`, one by one; none of either where
    its mask is withheld. `complete`: whether all that the sentence speaks of is marked.
    """

    number: int
    text: str = field(repr=False)
    category: str
    complete: bool
    values: tuple[int, ...] = ()
    instances: tuple[int, ...] = ()

    @property
    def focal(self) -> bool:
        return is_focal(self.category)

    def instances_in(self, labels: np.ndarray) -> np.ndarray:
        """Of labels, whole or cut, the numbers of this finding's instances, int16; 0 where it is not marked."""
        table = np.zeros(max(int(labels.max(initial=0)), *self.values, 0) + 1, np.int16)
        table[list(self.values)] = self.instances
        return table[labels]

    def states_in(self, labels: np.ndarray) -> np.ndarray:
        """What is known of each voxel, int8: 1 inside, 0 outside; -1 unknown, which is whatever is not marked where
        marks are not complete: an unmarked voxel teaches nothing then, and must not be learned as healthy.
        """
        outside = OUTSIDE if self.complete and self.values else UNKNOWN
        return np.where(self.instances_in(labels) > 0, np.int8(INSIDE), np.int8(outside))


def finding_rows(studies: Iterable[tuple[str, Sequence[Finding], Parts | None]]) -> list[dict[str, object]]:
    """Of each study its id, its findings, and what the labels of its mask stand for, if it has one."""
    rows: list[dict[str, object]] = []
    for id, findings, parts in studies:
        for number, finding in enumerate(findings):
            own = [(value, instance) for value, of, instance in parts or () if of == number]
            rows.append(
                {
                    "id": id,
                    "number": number,
                    "text": finding.text,
                    "category": finding.category,
                    "complete": finding.complete,
                    "values": [value for value, _ in own],
                    "instances": [instance for _, instance in own],
                }
            )
    return rows


def read_findings(cohort: Cohort) -> dict[str, tuple[MarkedFinding, ...]]:
    """The findings of each study by its id, in the order of the data set."""
    path = cohort.path / FINDINGS
    if not path.is_file():
        raise SimcropError(
            "no-findings",
            f"{cohort.path}: marks no sentences; expected a cohort of simcrop ingest --layout rexgrounding",
        )
    try:
        table = pl.read_parquet(path).select(list(FINDINGS_SCHEMA)).sort("id", "number")
    except (OSError, PolarsError) as error:
        raise damaged(path) from error
    found: dict[str, list[MarkedFinding]] = {}
    for id, number, text, category, complete, values, instances in table.iter_rows():
        finding = MarkedFinding(number, text, category, complete, tuple(values), tuple(instances))
        found.setdefault(id, []).append(finding)
    return {id: tuple(findings) for id, findings in found.items()}
