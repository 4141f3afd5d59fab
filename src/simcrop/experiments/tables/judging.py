"""How the cells of a column come about: answers are gathered, judged by the same patients and labels, and ranked.

No axes; all figures in per cent, differences in points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from simcrop.experiments.scores import Reached
from simcrop.experiments.tables.answers import OTHER_SCANS, Answers, NoAnswerError, alike, read_answers
from simcrop.experiments.tables.cells import (
    BEST,
    NONE,
    SECOND,
    Cell,
    JudgedColumn,
    Lead,
    Mark,
    in_percent,
    knows_more,
    lead_of,
)
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

ByRow = Mapping[str, Mapping[int, Answers]]  # answers by row and seed


@dataclass(frozen=True)
class Ranking:
    """`means` of the rows that are ranked, the best first, and the `leads` of each over the next."""

    means: Mapping[str, float]
    leads: tuple[Lead, ...]

    def place(self, key: str) -> int:
        """One more than there are better ones; 0 of a row that is not ranked."""
        if key not in self.means:
            return 0
        return 1 + sum(other > self.means[key] for other in self.means.values())

    def mark(self, key: str) -> Mark:
        """Best where its lead over the next row is beyond chance; second best only behind a best, and where its own
        lead over the third is. A row that nobody follows has no lead.
        """
        apart = [lead.beyond_chance for lead in self.leads]
        first, second = [*self.means, "", ""][:2]
        if key == first and apart[:1] == [True]:
            return BEST
        if key == second and apart[:2] == [True, True]:
            return SECOND
        return NONE


def judge_column(
    table: str,
    column: Column,
    rows: Sequence[Row],
    seeds: Sequence[int],
    places: Places,
    missing: Mapping[str, str],
    failed: Mapping[Path, str],
    published: Published,
) -> JudgedColumn:
    """All of its cells."""
    paper = {row.key: published.value(table, row.paper, column.key) for row in rows}
    if column.dataset in missing:
        return empty_column(column, rows, {row.key: missing[column.dataset] for row in rows}, paper)
    found, reasons = gather(column, rows, seeds, places, failed)
    every = [one for of_row in found.values() for one in of_row.values()]
    if not every:
        return empty_column(column, rows, reasons, paper)
    labels, first = judged_labels(column.metric, every), every[0]
    figure = figure_of(column.metric, labels)
    of_rows = {key: reached(answers, figure) for key, answers in found.items()}
    defined = {key: of for key, of in of_rows.items() if not np.isnan(of.mean)}
    ranking = rank(column, rows, defined)
    cells = tuple(
        Cell(
            row,
            column,
            defined.get(row.key),
            seeds=tuple(found.get(row.key, {})),
            reason=reasons[row.key] or ("" if row.key in defined else "no label can be judged"),
            paper=paper[row.key],
            place=ranking.place(row.key),
            mark=ranking.mark(row.key),
            false_positives=tuple(of.false_positives for of in found.get(row.key, {}).values()),
        )
        for row in rows
    )
    return JudgedColumn(
        column,
        cells,
        ranking.leads,
        scans=len(first.ids),
        patients=len(set(first.patients.tolist())),
        split_hash=first.split_hash,
        names=tuple(name for name, there in zip(first.names, labels, strict=True) if there),
        left_out=tuple(name for name, there in zip(first.names, labels, strict=True) if not there),
        absent=int((first.truth[:, labels] == 0).sum()) if column.metric == "dice" else 0,
        commonest=100 * share_of_commonest(first.truth) if column.metric == "accuracy" else None,
        answers=found,
    )


def empty_column(
    column: Column, rows: Sequence[Row], reasons: Mapping[str, str], paper: Mapping[str, float | None]
) -> JudgedColumn:
    return JudgedColumn(
        column, tuple(Cell(row, column, None, (), reasons[row.key], paper[row.key]) for row in rows)
    )


def rank(column: Column, rows: Sequence[Row], reached: Mapping[str, Reached]) -> Ranking:
    """Of the rows that have a figure and know no more than others."""
    ranked = [row for row in rows if row.key in reached and not knows_more(row, column)]
    order = sorted(ranked, key=lambda row: -reached[row.key].mean)
    leads = tuple(lead_of(one, reached[one.key], two, reached[two.key]) for one, two in pairwise(order))
    return Ranking({row.key: reached[row.key].mean for row in order}, leads)


def gather(
    column: Column,
    rows: Sequence[Row],
    seeds: Sequence[int],
    places: Places,
    failed: Mapping[Path, str],
) -> tuple[ByRow, dict[str, str]]:
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


def reached_by_label(judged: JudgedColumn) -> dict[str, dict[str, Interval]]:
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
