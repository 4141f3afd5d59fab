"""The cells of a table: what each row reached in each column, or why there is nothing, and who is ahead of whom.

No axes; all figures in per cent, differences in points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from simcrop.experiments.scores import Reached
from simcrop.experiments.tables.answers import OTHER_SCANS, Answers, NoAnswerError, alike, read_answers
from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.paper import Published
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.reached import (
    auroc_of_label,
    figure_of,
    judged_labels,
    reached,
    share_of_commonest,
)
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
class Judged:
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


def judge_column(
    table: str,
    column: Column,
    rows: Sequence[Row],
    seeds: Sequence[int],
    places: Places,
    missing: Mapping[str, str],
    failed: Mapping[Path, str],
    published: Published,
) -> Judged:
    """All of its cells."""
    paper = {row.key: published.value(table, row.paper, column.key) for row in rows}
    if column.dataset in missing:
        why = missing[column.dataset]
        return Judged(column, tuple(Cell(row, column, None, (), why, paper[row.key]) for row in rows))
    found, reasons = gather(column, rows, seeds, places, failed)
    every = [one for of_row in found.values() for one in of_row.values()]
    if not every:
        empty = [Cell(row, column, None, (), reasons[row.key], paper[row.key]) for row in rows]
        return Judged(column, tuple(empty))
    judged, first = judged_labels(column.metric, every), every[0]
    figure = figure_of(column.metric, judged)
    of_rows = {key: reached(answers, figure) for key, answers in found.items()}
    defined = {key: of for key, of in of_rows.items() if not np.isnan(of.mean)}
    by_key = {row.key: row for row in rows}
    ranked = [key for key in defined if not knows_more(by_key[key], column)]
    order = sorted(ranked, key=lambda key: -defined[key].mean)
    leads = tuple(
        lead_of(by_key[one], defined[one], by_key[two], defined[two]) for one, two in pairwise(order)
    )
    cells = tuple(
        Cell(
            row,
            column,
            defined.get(row.key),
            tuple(found.get(row.key, {})),
            reasons[row.key] or ("" if row.key in defined else "no label can be judged"),
            paper[row.key],
            place_of(row.key, defined, order),
            mark_of(order.index(row.key), leads) if row.key in order else NONE,
            tuple(of.false_positives for of in found.get(row.key, {}).values()),
        )
        for row in rows
    )
    left_out = tuple(name for name, there in zip(first.names, judged, strict=True) if not there)
    return Judged(
        column,
        cells,
        leads,
        len(first.ids),
        len(set(first.patients.tolist())),
        first.split_hash,
        tuple(name for name in first.names if name not in left_out),
        left_out,
        int((first.truth[:, judged] == 0).sum()) if column.metric == "dice" else 0,
        100 * share_of_commonest(first.truth) if column.metric == "accuracy" else None,
        found,
    )


def lead_of(first: Row, one: Reached, second: Row, two: Reached) -> Lead:
    """Seeds that only one of them has say nothing of the difference."""
    common = len({*one.of_seeds} & {*two.of_seeds}) or min(len(one.of_seeds), len(two.of_seeds))
    return Lead(first, second, in_percent(one.over(two)), common)


def place_of(key: str, reached: Mapping[str, Reached], order: Sequence[str]) -> int:
    """One more than there are better ones."""
    return 1 + sum(reached[other].mean > reached[key].mean for other in order) if key in order else 0


def knows_more(row: Row, column: Column) -> bool:
    """Whether its encoder was taught labels of which the column's heads may have a share alone."""
    return row.taught and column.dataset == PRETRAINED and column.metric == "auroc" and column.share < 1


def gather(
    column: Column,
    rows: Sequence[Row],
    seeds: Sequence[int],
    places: Places,
    failed: Mapping[Path, str],
) -> tuple[dict[str, dict[int, Answers]], dict[str, str]]:
    """By row and seed what there is, all of it answers to one question; by row why something is missing."""
    found: list[tuple[str, int, Answers]] = []
    without: dict[str, dict[str, list[int]]] = {row.key: {} for row in rows}
    for row in rows:
        for seed in seeds:
            try:
                found.append((row.key, seed, read_answers(column, row.key, seed, places, failed)))
            except NoAnswerError as none:
                without[row.key].setdefault(str(none), []).append(seed)
    kept: dict[str, dict[int, Answers]] = {}
    same = alike([answers for *_, answers in found]) if found else []
    for (key, seed, answers), asked in zip(found, same, strict=True):
        if asked:
            kept.setdefault(key, {})[seed] = answers
        else:
            without[key].setdefault(OTHER_SCANS, []).append(seed)
    return kept, {key: words_of(whys, len(seeds)) for key, whys in without.items()}


def words_of(whys: Mapping[str, Sequence[int]], seeds: int) -> str:
    """Why seeds are missing; their numbers only where not all share one reason."""
    return "; ".join(
        why if len(some) == seeds else f"seed {', '.join(map(str, some))}: {why}"
        for why, some in whys.items()
    )


def mark_of(rank: int, leads: Sequence[Lead]) -> Mark:
    """Best where its lead over the next row is beyond chance; second best only behind a best, and where its own lead
    over the third is. A row that nobody follows has no lead.
    """
    apart = [lead.beyond_chance for lead in leads]
    if rank == 0 and apart[:1] == [True]:
        return BEST
    if rank == 1 and apart[:2] == [True, True]:
        return SECOND
    return NONE


def reached_by_label(judged: Judged) -> dict[str, dict[str, Interval]]:
    """By label and row, in per cent, over the same drawn patients; only of columns judged by AUROC."""
    answers = judged.answers or {}
    every = next(one.names for of in answers.values() for one in of.values()) if answers else ()
    return {
        name: {
            key: in_percent(reached(of, auroc_of_label(every.index(name))).interval())
            for key, of in answers.items()
        }
        for name in judged.names
    }


def in_percent(of: Interval) -> Interval:
    return Interval(100 * of.value, 100 * of.low, 100 * of.high, of.draws)
