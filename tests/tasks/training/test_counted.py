"""Shipped counts are those that counting gives, and a run writes down what it was counted with."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from simcrop.config import load_recipe, recipe_names
from simcrop.tasks.training import counted as module
from simcrop.tasks.training import kept_cost as kept
from simcrop.tasks.training.cost import Cost, cost_of
from simcrop.tasks.training.counted import counted, counted_once, digest, shipped, tree_of
from simcrop.tasks.training.kept_cost import COST, kept_cost

ANEW = "to make it anew: python benchmarks/counts.py src/simcrop/speeds/counts.yaml"


def number_of(name: str, *changes: str) -> str:
    return digest(json.dumps(tree_of(load_recipe(name, list(changes))), sort_keys=True))


@pytest.mark.parametrize("name", ["mae-paper", "mae-tiny", "simcrop-tiny"])
def test_what_is_shipped_is_what_counting_gives(name: str) -> None:
    assert shipped()[number_of(name)] == cost_of(load_recipe(name)), ANEW


def test_every_shipped_recipe_is_counted() -> None:
    assert [name for name in recipe_names() if number_of(name) not in shipped()] == [], ANEW


def test_seed_length_and_engine_change_no_count_and_the_network_does() -> None:
    same = ("seed=7", "optim.batch=2", "optim.epochs=90", "engine.recompute=true", "checkpoint.keep=1")
    assert number_of("simcrop-tiny", *same) == number_of("simcrop-tiny")
    for change in ("vision.depth=5", "mlm.ratio=0.6", "text.report_length=64", "input.shape=[32, 32, 16]"):
        assert number_of("simcrop-tiny", change) not in shipped(), change


def test_what_is_not_known_is_counted_once_and_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    cost = Cost(1.0, 0.3, 0.0, 1, 1, 1, 1, 1)

    def count(recipe: object) -> Cost:
        torch.rand(1)
        asked.append(recipe.method)  # type: ignore[attr-defined]
        return cost

    monkeypatch.setattr(module, "cost_of", count)
    counted_once.cache_clear()
    state = torch.get_rng_state()
    assert [counted(load_recipe("mae-tiny", [f"vision.depth={n}"])) for n in (5, 5)] == [cost, cost]
    assert asked == ["mae"]
    assert torch.equal(torch.get_rng_state(), state)
    counted_once.cache_clear()


def test_a_run_keeps_the_count_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.json").write_text('{"verb": "pretrain", "settings": {}}')
    recipe = load_recipe("mae-tiny")
    cost = kept_cost(recipe, tmp_path)
    assert cost is not None
    assert cost.gflop_per_scan == pytest.approx(5.625779712)
    written = json.loads((tmp_path / "run.json").read_text())
    assert written == {"verb": "pretrain", "settings": {}, COST: asdict(cost)}
    monkeypatch.setattr(kept, "counted", lambda _: pytest.fail("counted again"))
    assert kept_cost(recipe, tmp_path) == cost


def test_a_count_that_another_simcrop_kept_is_made_anew(tmp_path: Path) -> None:
    told = {"verb": "pretrain", "settings": {}, COST: {"gflop_per_scan": 1.0, "operations": 2}}
    (tmp_path / "run.json").write_text(json.dumps(told))
    cost = kept_cost(load_recipe("mae-tiny"), tmp_path)
    assert cost is not None
    assert json.loads((tmp_path / "run.json").read_text())[COST] == asdict(cost)


def test_a_method_that_cannot_be_counted_trains_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Cost:
        raise RuntimeError

    monkeypatch.setattr(kept, "counted", fail)
    (tmp_path / "run.json").write_text('{"verb": "pretrain", "settings": {}}')
    assert kept_cost(load_recipe("mae-tiny"), tmp_path) is None
    assert json.loads((tmp_path / "run.json").read_text())[COST] is None
    monkeypatch.setattr(kept, "counted", lambda _: pytest.fail("counted again"))
    assert kept_cost(load_recipe("mae-tiny"), tmp_path) is None
