"""Cells against figures worked out by scikit-learn and by hand; who is marked, and why a cell is empty."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from simcrop.experiments import scores
from simcrop.experiments.scores import over_cohorts
from simcrop.experiments.tables.cells import Cell, JudgedColumn
from simcrop.experiments.tables.columns import TABLE1_COLUMNS, TABLE2_COLUMNS, Column
from simcrop.experiments.tables.judging import judge_column, reached_by_label
from simcrop.experiments.tables.notes import unranked_of
from simcrop.experiments.tables.paper import read_published
from simcrop.experiments.tables.rows import TABLE1_ROWS, Row, row_of
from simcrop.metrics import macro_auroc

ROWS = tuple(row_of(key, TABLE1_ROWS) for key in ("random", "mae", "simcrop"))
CT_RATE_10, CT_RATE_100, ACCURACY = TABLE1_COLUMNS[1], TABLE1_COLUMNS[2], TABLE1_COLUMNS[5]
DICE = TABLE2_COLUMNS[0]


def judged(
    world: Any,
    column: Column,
    rows: Sequence[Row] = ROWS,
    seeds: Sequence[int] = (0, 1),
    missing: Mapping[str, str] | None = None,
    failed: Mapping[Path, str] | None = None,
) -> JudgedColumn:
    return judge_column(
        "table1", column, rows, seeds, world.places, missing or {}, failed or {}, read_published()
    )


def cell(found: JudgedColumn, row: str) -> Cell:
    return next(cell for cell in found.cells if cell.row.key == row)


def write_all(world: Any, skills: Mapping[str, float], seeds: Sequence[int] = (0, 1)) -> None:
    for row, skill in skills.items():
        for seed in seeds:
            world.probe(
                row, seed, "ct-rate", {0.1: world.scores(skill / 2, seed), 1.0: world.scores(skill, seed)}
            )


def test_value_is_the_macro_auroc_of_its_share_averaged_over_seeds(world: Any) -> None:
    world.truth[3, 1] = np.nan  # not known: left out
    write_all(world, {"mae": 1.0, "simcrop": 2.0})
    found = judged(world, CT_RATE_10)
    known = ~np.isnan(world.truth)
    by_seed = [
        np.mean(
            [
                roc_auc_score(world.truth[known[:, i], i], world.scores(1.0, seed)[known[:, i], i])
                for i in range(3)
            ]
        )
        for seed in (0, 1)
    ]
    mine = cell(found, "simcrop")
    assert mine.reached is not None
    assert mine.reached.by_seed == pytest.approx(by_seed)
    assert mine.interval is not None
    assert mine.interval.value == pytest.approx(100 * np.mean(by_seed))
    assert (mine.paper, mine.over_paper) == (82.4, pytest.approx(mine.interval.value - 82.4))
    assert (found.scans, found.patients, mine.seeds, mine.reason) == (90, 45, (0, 1), "")


def test_fast_intervals_are_those_of_every_other_study(world: Any) -> None:
    write_all(world, {"mae": 1.0, "simcrop": 1.2})
    found = judged(world, CT_RATE_100)
    slow = {
        row: over_cohorts(
            [
                lambda rows, of=world.scores(skill, seed): macro_auroc(of[rows], world.truth[rows]).value
                for seed in (0, 1)
            ],
            np.array(world.patients),
        )
        for row, skill in (("mae", 1.0), ("simcrop", 1.2))
    }
    assert slow["mae"].drawn.shape == (2, scores.DRAWS)
    mine = cell(found, "mae").interval
    expected = slow["mae"].interval()
    assert mine is not None
    assert (mine.low, mine.high) == pytest.approx((100 * expected.low, 100 * expected.high))
    over = slow["simcrop"].over(slow["mae"])
    (lead,) = found.leads
    assert (lead.over.value, lead.over.low) == pytest.approx((100 * over.value, 100 * over.low))


def test_labels_that_some_row_cannot_be_judged_by_are_in_nobodys_mean(world: Any) -> None:
    write_all(world, {"mae": 1.0})
    unlearned = world.scores(2.0, 0)
    unlearned[:, 2] = np.nan
    world.probe("simcrop", 0, "ct-rate", {1.0: unlearned})
    found = judged(world, CT_RATE_100)
    assert (found.names, found.left_out) == (("Nodule", "Emphysema"), ("Effusion",))
    expected = np.mean(
        [roc_auc_score(world.truth[:, i], world.scores(1.0, seed)[:, i]) for i in (0, 1) for seed in (0, 1)]
    )
    mae = cell(found, "mae").interval
    assert mae is not None
    assert mae.value == pytest.approx(100 * expected)
    assert list(reached_by_label(found)) == ["Nodule", "Emphysema"]


def test_class_is_the_most_probable_one(make_world: Callable[..., Any]) -> None:
    world = make_world(exclusive=True)
    world.truth[7] = np.nan  # of an unknown class
    for seed in (0, 1):
        world.probe("simcrop", seed, "cc-ccii", {1.0: world.scores(2.0, seed)})
    known = ~np.isnan(world.truth).any(1)
    expected = [
        accuracy_score(world.truth[known].argmax(1), world.scores(2.0, seed)[known].argmax(1))
        for seed in (0, 1)
    ]
    reached = cell(judged(world, ACCURACY), "simcrop").reached
    assert reached is not None
    assert reached.by_seed == pytest.approx(expected)


def test_dice_is_the_mean_over_organs_of_the_scans_that_have_them(world: Any) -> None:
    dice = np.full((8, 2), 0.9)
    dice[:, 1] = [0.5, 0.7, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan]
    for seed in (0, 1):
        world.segment("mae", seed, "luna16", 0.1, dice - 0.1 * seed)
        world.segment("simcrop", seed, "luna16", 0.1, dice)
    found = judged(world, DICE)
    reached = cell(found, "mae").reached
    assert reached is not None
    assert reached.by_seed == pytest.approx([(0.9 + 0.6) / 2, (0.8 + 0.5) / 2])
    assert (found.absent, found.left_out, cell(found, "mae").false_positives) == (6, (), (1, 1))


@pytest.mark.parametrize(
    ("skills", "marks"),
    [
        ((0.2, 1.5, 6.0), ("", "second", "best")),  # all apart
        ((0.2, 3.0, 3.05), ("", "", "")),  # the first two are not told apart, so neither is the second
        ((1.0, 1.0, 6.0), ("", "", "best")),  # the others are not
        ((None, None, 6.0), ("", "", "")),  # nobody to be ahead of
        ((None, 1.0, 6.0), ("", "", "best")),
    ],
)
def test_marks_need_a_lead_beyond_chance(
    world: Any, skills: tuple[float | None, ...], marks: tuple[str, ...]
) -> None:
    for n, (row, skill) in enumerate(zip(ROWS, skills, strict=True)):
        for seed in (0, 1) if skill is not None else ():
            world.probe(row.key, seed, "ct-rate", {1.0: world.scores(skill, 10 * n + seed)})
    found = judged(world, CT_RATE_100)
    assert tuple(of.mark for of in found.cells) == marks


def test_missing_cells_are_empty_and_say_why(world: Any) -> None:
    write_all(world, {"simcrop": 2.0})
    world.probe("mae", 0, "ct-rate", {1.0: world.scores(1.0, 0)})
    world.places.probe("mae", 1, "ct-rate").mkdir(parents=True)
    found = judged(world, CT_RATE_100, failed={world.places.run("random", 0): "the loss was not finite"})
    assert cell(found, "random").reason == "seed 0: failed: the loss was not finite; seed 1: not yet run"
    assert (cell(found, "mae").seeds, cell(found, "mae").reason) == ((0,), "seed 1: not finished")
    assert (cell(found, "random").interval, cell(found, "random").paper) == (None, 63.8)
    assert "left out: 10 % hold too few patients" in cell(judged(world, CT_RATE_10), "mae").reason
    gone = judged(world, CT_RATE_100, missing={"ct-rate": "no cohort; it is to be had from there"})
    assert {(of.interval, of.reason) for of in gone.cells} == {
        (None, "no cohort; it is to be had from there")
    }


def test_other_scans_or_another_truth_are_never_compared(world: Any) -> None:
    write_all(world, {"mae": 1.0, "simcrop": 2.0})
    changed = replace(world, truth=world.truth.copy())
    changed.truth[0, 0] = 1 - changed.truth[0, 0]
    changed.probe("random", 0, "ct-rate", {1.0: world.scores(1.0, 0)})
    found = judged(world, CT_RATE_100, seeds=(0,))
    assert "judged by other scans" in cell(found, "random").reason
    assert [of.place for of in found.cells] == [0, 2, 1]
    dice = np.full((8, 2), 0.9)
    for row in ("mae", "simcrop"):
        world.segment(row, 0, "luna16", 0.1, dice)
    world.segment("random", 0, "luna16", 0.1, dice, truth="another")
    assert cell(judged(world, DICE, seeds=(0,)), "random").interval is None


def test_who_was_taught_all_labels_is_not_ranked_where_heads_have_a_share_of_them(world: Any) -> None:
    rows = (*ROWS, row_of("supervised", TABLE1_ROWS), row_of("labels-first", TABLE1_ROWS))
    write_all(world, {"mae": 1.0, "simcrop": 2.0, "supervised": 4.0, "labels-first": 3.0})
    some, every = judged(world, CT_RATE_10, rows), judged(world, CT_RATE_100, rows)
    assert [cell(some, key).place for key in ("simcrop", "mae", "supervised", "labels-first")] == [1, 2, 0, 0]
    assert [cell(every, key).place for key in ("supervised", "labels-first")] == [1, 2]
    assert cell(some, "supervised").interval is not None
    assert {lead.first.key for lead in some.leads} == {"simcrop"}
    assert unranked_of([some, every]) == [
        "Not ranked in CT-RATE 10 %: Labels alone and Labels first, then SimCroP, whose encoders have learned from all "
        "labels."
    ]
