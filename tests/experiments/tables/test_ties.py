"""Rows that reach the same share a place, and the words say so; one seed marks nobody; beside classes stands what needs
no scan at all.
"""

from typing import Any

import numpy as np
import pytest

from simcrop.experiments.tables.columns import COLUMNS
from simcrop.experiments.tables.rows import ROWS, row_of
from simcrop.experiments.tables.table_rows import one_digit
from simcrop.experiments.tables.writing import write_table

CLASS_1 = "CC-CCII 1 %: "


def found_of(world: Any, heights: dict[str, float]) -> dict[str, Any]:
    """CC-CCII's column of one percent, where a row names as many scans rightly as it has height."""
    truth = np.zeros_like(world.truth)
    truth[:, 0] = 1
    truth[:30] = np.eye(truth.shape[1])[1]
    object.__setattr__(world, "truth", truth)
    for row, height in heights.items():
        scores = np.full(truth.shape, 0.1)
        scores[:, 0] = 0.5
        right = np.arange(len(truth)) < height * 30
        scores[right, 1] = 0.9
        world.probe(row, 0, "cc-ccii", {0.01: scores})
    rows = [row_of(key, ROWS["table1"]) for key in heights]
    return write_table("table1", rows, COLUMNS["table1"], (0,), world.places, {}, {})


def places(found: dict[str, Any]) -> dict[str, int]:
    return {of["row"]: of["place"] for of in found["cells"] if of["column"] == "cc-ccii-1"}


def words(found: dict[str, Any]) -> str:
    return next(line for line in found["texts"]["found"] if line.startswith(CLASS_1)).removeprefix(CLASS_1)


@pytest.mark.parametrize(
    ("heights", "expected", "said"),
    [
        ((0, 0, 0, 0), (1, 1, 1, 1), "SimCroP is first, level with all other rows."),
        ((0, 0, 0.5, 0.5), (3, 3, 1, 1), "SimCroP is first, level with MRM."),
        ((1, 0.5, 0.5, 0.2), (1, 2, 2, 4), "It is 2 of 4, level with MAE."),
    ],
)
def test_rows_that_reach_the_same_share_a_place(
    world: Any, heights: tuple[float, ...], expected: tuple[int, ...], said: str
) -> None:
    keys = ("random", "mae", "simcrop", "mrm")
    found = found_of(world, dict(zip(keys, heights, strict=True)))
    assert tuple(places(found)[key] for key in keys) == expected
    assert words(found).endswith(said)


@pytest.mark.parametrize(
    ("mae", "said"),
    [(0.5, "; among the paper's methods 1 of 2, level with MAE."), (0.7, "2 of 2, behind MAE, which is ")],
)
def test_among_the_papers_methods_a_place_may_be_shared_too(world: Any, mae: float, said: str) -> None:
    found = found_of(world, {"mae": mae, "simcrop": 0.5, "simcrop-plus": 1})
    assert said in words(found)


def test_what_the_most_frequent_class_alone_reaches_stands_beside(world: Any) -> None:
    found = found_of(world, {"mae": 0, "simcrop": 1})
    share = 1 - 30 / len(world.truth)
    column = next(of for of in found["columns"] if of["key"] == "cc-ccii-1")
    assert column["commonest"] == pytest.approx(100 * share)
    values = {of["row"]: of["value"] for of in found["cells"] if of["column"] == "cc-ccii-1"}
    assert values == {"mae": pytest.approx(100 * share), "simcrop": pytest.approx(100)}
    foot = next(line for line in found["texts"]["foot"] if line.startswith(CLASS_1))
    assert foot.endswith(f"whoever calls every scan the most frequent class reaches {100 * share:.1f}.")


def test_one_seed_is_ahead_by_one_seed_and_marked_nowhere(world: Any) -> None:
    found = found_of(world, {"random": 0, "mae": 0.5, "simcrop": 1})
    assert found["texts"]["found"][0].startswith("One seed: brackets are over patients alone")
    assert words(found).endswith("ahead of MAE, by one seed.")
    assert {of["mark"] for of in found["cells"]} == {""}
    over = [of for of in found["over_random"] if of["column"] == "cc-ccii-1"]
    assert [(of["row"], of["low"] > 0, of["apart"]) for of in over] == [
        ("mae", True, False),
        ("simcrop", True, False),
    ]
    assert "**" not in world.places.table("table1", "md").read_text()


def test_nothing_has_no_minus() -> None:
    assert [one_digit(value, "+") for value in (-0.04, 0.04, -0.06, None)] == ["+0.0", "+0.0", "−0.1", "–"]
