"""Rows about what a scan lacks, of other patients: how many there are, and each by its number, without a list of them.

No axes or units.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Foreign:
    """Those of the first `count` rows that stand in none of the lists `left_out`, which ascend and share no row."""

    count: int
    left_out: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return self.count - sum(map(len, self.left_out))

    def __getitem__(self, number: int) -> int:
        """The row that has `number` others of them before it."""
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        return bisect_left(range(self.count), number + 1, key=self.up_to)

    def up_to(self, row: int) -> int:
        """How many of them there are up to this row, and with it."""
        return row + 1 - sum(bisect_right(of, row) for of in self.left_out)


class AskedRows:
    """Rows in their order, of each whose it is and which finding it is about."""

    def __init__(self, rows: Iterable[tuple[str, Hashable]]) -> None:
        self.findings: list[Hashable] = []
        self.of_patient = defaultdict[str, list[int]](list)
        self.of_finding = defaultdict[Hashable, list[int]](list)
        for row, (patient, finding) in enumerate(rows):
            self.findings.append(finding)
            self.of_patient[patient].append(row)
            self.of_finding[finding].append(row)

    def foreign(self, patient: str, has: Collection[Hashable]) -> Foreign:
        """Rows of other patients about none of the findings in `has`. Cheap for each of many rows: what is left out is
        looked up, not gone through.
        """
        found = [self.of_finding[finding] for finding in set(has) if finding in self.of_finding]
        own = [row for row in self.of_patient.get(patient, ()) if self.findings[row] not in has]
        return Foreign(len(self.findings), [*found, own])
