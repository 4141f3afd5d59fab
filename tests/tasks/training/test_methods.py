"""`simcrop methods`: every method accounts for itself, and the table fits a terminal."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from simcrop.config import load_recipe
from simcrop.objectives.method import Account, MethodSettings
from simcrop.objectives.registry import methods
from simcrop.tasks.training import counted
from simcrop.tasks.training import methods as listed
from simcrop.tasks.training.cost import Cost
from simcrop.tasks.training.methods import Described, as_text, described, recipe_of


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> Cost:
    """Nothing is counted: what is, `test_cost.py` tells."""
    cost = Cost(1234.5, 0.334, 0.0, 2_000_000, 3_000_000, 1_000_000, 2**30, 2**29)
    monkeypatch.setattr(listed, "counted", lambda _: cost)
    return cost


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_method_accounts_for_itself(name: str) -> None:
    settings: type[MethodSettings] = methods()[name]
    told = settings.account
    assert told != Account()
    assert told.source
    assert told.reads
    assert told.hides or told.contrasts or told.needs
    assert "account" in vars(settings), "a method's account is its own"


@pytest.mark.parametrize("size", ["paper", "tiny"])
@pytest.mark.parametrize("name", sorted(name for name, kind in methods().items() if kind.verb == "pretrain"))
def test_every_method_of_pretraining_has_both_recipes(name: str, size: str) -> None:
    recipe = recipe_of(name, size)  # type: ignore[arg-type]
    assert recipe == f"{name}-{size}"
    assert load_recipe(recipe).method == name


def test_a_method_with_a_recipe_for_each_data_set_is_shown_by_the_first() -> None:
    assert recipe_of("segment", "paper") == "segment-paper-btcv"
    assert recipe_of("supervised", "tiny") == "supervised-tiny"  # and not that of supervised-cnn
    assert recipe_of("no-such", "tiny") is None


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("size", ["paper", "tiny"])
def test_the_table_has_all_methods_and_fits(size: str, simcrop: Callable) -> None:
    ran = simcrop("methods", "--size", size)
    assert ran.code == 0, ran
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 120
    named = [line.split()[0] for line in lines[3:] if line and not line.startswith(" ")]
    assert [name for name in named if name in methods()] == sorted(methods())
    assert "1,234" in ran.out  # GFLOP


@pytest.mark.usefixtures("cheap")
def test_json_has_the_account_and_the_cost(simcrop: Callable) -> None:
    ran = simcrop("methods", "--size", "tiny", "--json")
    rows = {row["method"]: row for row in json.loads(ran.out)}
    assert rows.keys() == methods().keys()
    row = rows["simcrop"]
    assert (row["recipe"], row["verb"], row["gflop_per_scan"]) == ("simcrop-tiny", "pretrain", 1234.5)
    assert row["contrasts"] == methods()["simcrop"].account.contrasts
    assert {"hides", "reads", "needs", "source", "trained", "kept", "bytes_per_scan"} <= row.keys()


def test_a_long_cell_goes_on_below_itself(cheap: Cost) -> None:
    told = Account("one two three four five six seven", "", "scan", "", "ours")
    text = as_text([Described("some-method", "some-method-tiny", "pretrain", told, cheap)])
    first, second, third = text.splitlines()[3:6]
    assert first.startswith("some-method     one two three")
    assert second.strip() == "four five six"
    assert third.strip() == "seven"


def test_another_size_is_refused(simcrop: Callable) -> None:
    assert simcrop("methods", "--size", "huge").refusal == "--size huge: expected paper or tiny"


def test_costs_are_counted_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "methods", lambda: {"mae": methods()["mae"]})
    (row,) = described("tiny")
    assert (row.recipe, row.cost.gflop_per_scan) == ("mae-tiny", pytest.approx(5.63, abs=0.01))


@pytest.mark.parametrize("size", ["paper", "tiny"])
def test_what_is_shipped_is_not_counted_again(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "cost_of", lambda _: pytest.fail("counted again"))
    counted.counted_once.cache_clear()
    assert len(described(size)) == len(methods())  # type: ignore[arg-type]


def test_the_page_has_a_row_for_every_method_with_its_account() -> None:
    page = (Path(__file__).parents[3] / "docs" / "methods.md").read_text(encoding="utf-8")
    for name, settings in methods().items():
        (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", page, re.MULTILINE)[:1]
        told = settings.account
        cells = [cell.strip() for cell in row.split("|")]
        assert cells == [told.hides, told.contrasts, told.reads, told.needs, told.source], name
