"""The cells of a table: what each row reached in each column, or why there is nothing, and who is ahead of whom.

No axes; all figures in per cent, differences in points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from simcrop.experiments.scores import Reached
from simcrop.experiments.tables.answers import Answers
from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.rows import Row
from simcrop.metrics import Interval

Mark = Literal["best", "second", ""]
BEST, SECOND, NONE = "best", "second", ""
FEWEST = 2  # seeds; how far a training lies from its repetition is in no interval of one
PRETRAINED = "ct-rate"  # what all rows are trained on


@dataclass(frozen=True, eq=False)
class Cell:
    """`seeds`: those that count. `reason`: why it is empty, or why some seeds are missing; else empty. `place`: its
    rank in the column, 1 is the highest mean, and rows of one mean share it; 0 of those that are not ranked.
    `false_positives`: of a segmentation, by seed.
    """

    row: Row
    column: Column
    reached: Reached | None
    seeds: tuple[int, ...]
    reason: str
    paper: float | None
    place: int = 0
    mark: Mark = NONE
    false_positives: tuple[int, ...] = ()

    @property
    def interval(self) -> Interval | None:
        return None if self.reached is None else in_percent(self.reached.interval())

    @property
    def unranked(self) -> bool:
        """Whether it has a figure that stands beside those of the column, and not among them."""
        return self.reached is not None and knows_more(self.row, self.column)

    @property
    def over_paper(self) -> float | None:
        """Ours less the paper's; rounded as both are printed."""
        found = self.interval
        return None if found is None or self.paper is None else found.value - self.paper


@dataclass(frozen=True)
class Lead:
    """By how much one row is ahead of another, over the same patients and so many `seeds`."""

    first: Row
    second: Row
    over: Interval
    seeds: int

    @property
    def apart(self) -> bool:
        """Whether the difference is free of 0 on either side; what one seed gave may be that seed's."""
        return self.seeds >= FEWEST and (self.over.low > 0 or self.over.high < 0)

    @property
    def beyond_chance(self) -> bool:
        return self.apart and self.over.low > 0


@dataclass(frozen=True, eq=False)
class JudgedColumn:
    """One column: its `cells` in the order of rows, the `leads` of each row over the next one from the best down, and
    by whom all were judged. `left_out`: labels or organs that no mean holds; `absent`: organs that single scans lack;
    `commonest`: of classes, how often the most frequent one is the true one.
    """

    column: Column
    cells: tuple[Cell, ...]
    leads: tuple[Lead, ...] = ()
    scans: int = 0
    patients: int = 0
    split_hash: str = ""
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    absent: int = 0
    commonest: float | None = None
    answers: Mapping[str, Mapping[int, Answers]] | None = None

    def of(self, key: str) -> Cell | None:
        """The cell of a row, if it has a figure."""
        return next((cell for cell in self.ranked if cell.row.key == key), None)

    @property
    def ranked(self) -> list[Cell]:
        """Those that have a figure, the best first."""
        return sorted((cell for cell in self.cells if cell.place), key=lambda cell: cell.place)


def knows_more(row: Row, column: Column) -> bool:
    """Whether its encoder was taught labels of which the column's heads may have a share alone."""
    return row.taught and column.dataset == PRETRAINED and column.metric == "auroc" and column.share < 1


def lead_of(first: Row, one: Reached, second: Row, two: Reached) -> Lead:
    """Seeds that only one of them has say nothing of the difference."""
    common = len({*one.of_seeds} & {*two.of_seeds}) or min(len(one.of_seeds), len(two.of_seeds))
    return Lead(first, second, in_percent(one.over(two)), common)


def in_percent(of: Interval) -> Interval:
    return Interval(100 * of.value, 100 * of.low, 100 * of.high, of.draws)
