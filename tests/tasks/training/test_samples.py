"""Which studies a run learns from: those that have what its method cannot do without, each once in a batch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from simcrop.config import Recipe, build_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.journal import read_journal
from simcrop.errors import SimcropError
from simcrop.tasks.training.pretrain import pretrain
from simcrop.tasks.training.samples import left_out, training_studies

M3AE = {
    "vision_decoder": {"depth": 1, "dim": 30, "heads": 2},
    "co_attention": {"depth": 1, "dim": 32, "heads": 4, "hidden": 40},
    "m3ae": {"mim_layer": 1},
}


@pytest.fixture
def recipe_of(toy_tree: dict[str, Any]) -> Callable[..., Recipe]:
    """The toy recipe of a method, of two steps over all studies; keywords are groups that change."""

    def recipe(method: str, **groups: Any) -> Recipe:
        tree = {name: toy_tree[name] for name in ("input", "vision", "text", "engine")}
        tree |= {"method": method, "data": {"split": ""}, "optim": {**toy_tree["optim"], "steps": 2}}
        return build_recipe(tree | {n: {**tree.get(n, {}), **g} for n, g in groups.items()}, "toy")

    return recipe


@pytest.fixture
def half_silent(toy_cohort: Path, tmp_path: Path) -> Path:
    """Seven studies: one has a whole report, one findings alone, two an impression alone, three none."""
    copy = tmp_path / "half-silent"
    shutil.copytree(toy_cohort, copy, ignore=shutil.ignore_patterns("sentences"))
    index = pl.read_parquet(copy / "studies.parquet")
    assert len(index) == 7
    parts = {
        "findings": ["A nodule.", "Clear.", *[""] * 5],
        "impression": ["", *["A nodule."] * 3, *[""] * 3],
    }
    index.with_columns(*(pl.Series(name, of) for name, of in parts.items())).write_parquet(
        copy / "studies.parquet"
    )
    return copy


@pytest.mark.parametrize(("text", "taught"), [("findings", 2), ("report", 4)])
def test_studies_without_the_text_that_is_compared_are_left_out_and_counted(
    half_silent: Path, recipe_of: Callable[..., Recipe], text: str, taught: int
) -> None:
    cohort, recipe = open_cohort(half_silent), recipe_of("ct-clip", contrast={"dim": 17, "text": text})
    assert training_studies(cohort, recipe).index["id"].equals(cohort.index["id"][:taught])
    what = "a sentence of findings" if text == "findings" else "a report"
    assert left_out(cohort, recipe) == {"left_out": f"{7 - taught} of 7 studies, which lack {what}"}


def test_a_method_that_learns_from_the_scan_as_well_keeps_them(
    half_silent: Path, recipe_of: Callable[..., Recipe]
) -> None:
    cohort = open_cohort(half_silent)
    for recipe in (recipe_of("simcrop"), recipe_of("m3ae", **M3AE), recipe_of("mae")):
        assert len(training_studies(cohort, recipe)) == 7
        assert left_out(cohort, recipe) == {}


def test_a_run_says_whom_it_left_out_and_every_scan_seen_has_a_text(
    half_silent: Path, recipe_of: Callable[..., Recipe], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe, run = recipe_of("m3d", contrast={"dim": 17}, optim={"batch": 2}), tmp_path / "run"
    assert pretrain(half_silent, recipe, run).finished
    words = "5 of 7 studies, which lack a sentence of findings"
    assert f"left out: {words}\n" in capfd.readouterr().err
    assert json.loads((run / "run.json").read_text())["left_out"] == words
    assert json.loads((run / "model/config.json").read_text())["provenance"]["studies"] == 2
    assert [row["epoch"] for row in read_journal(run / "journal.jsonl")] == [1, 2]


@pytest.mark.parametrize(
    ("method", "groups", "term"),
    [
        ("ct-clip", {"contrast": {"dim": 17}}, "contrast"),
        ("m3ae", M3AE, "match"),
        ("simcrop", {"align": {"scope": "batch"}}, "align"),
    ],
)
def test_a_batch_larger_than_its_cohort_is_refused_where_a_study_would_be_told_from_itself(
    toy_cohort: Path,
    recipe_of: Callable[..., Recipe],
    tmp_path: Path,
    method: str,
    groups: dict[str, Any],
    term: str,
) -> None:
    recipe = recipe_of(method, **groups, optim={"batch": 8})
    with pytest.raises(SimcropError) as refused:
        pretrain(toy_cohort, recipe, tmp_path / "run")
    assert refused.value.reason == "small-cohort"
    assert "7 studies to learn from, and optim.batch = 8" in refused.value.sentence
    assert f"({term}); --set optim.batch=7 is the most" in refused.value.sentence
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_its_cohort_is_fine_where_equal_texts_are_alike(
    toy_cohort: Path, toy_tree: dict[str, Any], tmp_path: Path
) -> None:
    tree = {**toy_tree, "data": {"split": ""}, "align": {"top_k": 5, "cross_image": {"enabled": True}}}
    recipe = build_recipe({**tree, "optim": {**toy_tree["optim"], "batch": 8, "steps": 1}}, "toy")
    assert pretrain(toy_cohort, recipe, tmp_path / "run").finished
