"""Labels first, sentences second: two commands, one encoder, and no label of anybody who is held out."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from simcrop.config import flat, load_recipe
from simcrop.errors import SimcropError
from simcrop.tasks.folder import read_run
from simcrop.tasks.training.pretrain import untrained

SMALL = (
    *("input.spacing_mm=[14,12,24]", "input.shape=[24,28,15]", "input.patch=[6,4,5]"),
    *("vision.depth=1", "vision.dim=24", "vision.heads=2", "optim.steps=2", "optim.batch=2"),
)
SECOND = (
    *("vision_decoder.depth=1", "report_decoder.depth=1", "report_decoder.dim=24", "report_decoder.heads=2"),
    *("vision_decoder.dim=24", "vision_decoder.heads=2", "report_decoder.hidden=24", "fusion.heads=2"),
)


def set_all(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module")
def cohort(toy_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of its patients are held out, and would be learned from at a glance: each has every label."""
    copy = tmp_path_factory.mktemp("halves") / "cohort"
    shutil.copytree(toy_cohort, copy)
    index = pl.read_parquet(copy / "studies.parquet").with_row_index("row")
    held = pl.col("row") % 2 == 1
    labels = [name for name in index.columns if name.startswith("label:")]
    index.with_columns(
        pl.when(held).then(pl.lit("valid")).otherwise(pl.lit("train")).alias("split"),
        *(
            pl.when(held).then(1).otherwise(pl.col(name)).cast(index[name].dtype).alias(name)
            for name in labels
        ),
    ).drop("row").write_parquet(copy / "studies.parquet")
    return copy


def test_two_commands_make_a_model_of_both_that_embeds(
    cohort: Path, tiny_bert: Path, tmp_path: Path, simcrop: Callable
) -> None:
    one, two, out = (tmp_path / name for name in ("labels", "run", "vectors"))
    first = ("pretrain", cohort, "--recipe", "supervised-tiny", *set_all(*SMALL), "--out", one)
    assert simcrop(*first).code == 0
    learned_from = load_file(one / "model" / "model.safetensors")
    text = (f"text.model={tiny_bert}", "text.report_length=64", "text.sentence_length=40")
    settings = (*SMALL, *SECOND, *text, f"init.model={one}")
    second = ("pretrain", cohort, "--recipe", "labels-first-tiny", *set_all(*settings), "--out", two)
    assert simcrop(*second).code == 0
    start = read_run(two)["start"]
    assert set(start["loaded"]) == {name for name in learned_from if name.startswith("vision.")}
    assert all(name.startswith("head.") for name in start["skipped"])
    assert simcrop("embed", two, cohort, "--out", out).code == 0
    assert len(pl.read_parquet(out / "embeddings.parquet")["embedding"][0]) == 24

    # Nobody who is held out has taught anything: with other labels of theirs the encoder is the same to the bit.
    other = tmp_path / "other"
    shutil.copytree(cohort, other)
    index = pl.read_parquet(other / "studies.parquet")
    index.with_columns(
        pl.when(pl.col("split") == "valid")
        .then(0)
        .otherwise(pl.col(name))
        .cast(index[name].dtype)
        .alias(name)
        for name in index.columns
        if name.startswith("label:")
    ).write_parquet(other / "studies.parquet")
    assert (
        simcrop(
            *(other if word == cohort else tmp_path / "again" if word == one else word for word in first)
        ).code
        == 0
    )
    again = load_file(tmp_path / "again" / "model" / "model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in learned_from.items())


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_it_does_not_start_without_the_first_step(
    toy_cohort: Path, tmp_path: Path, simcrop: Callable, size: str
) -> None:
    recipe = f"labels-first-{size}"
    ran = simcrop("pretrain", toy_cohort, "--recipe", recipe, "--out", tmp_path / "run")
    assert f"cannot start without init.model: train supervised-{size} on the same cohort" in ran.refusal
    with pytest.raises(SimcropError, match=r"cannot start without init\.model"):
        untrained(toy_cohort, load_recipe(recipe), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_both_steps_share_the_encoder_and_the_second_is_simcrop(size: str) -> None:
    first, second, simcrop = (load_recipe(f"{n}-{size}") for n in ("supervised", "labels-first", "simcrop"))
    for group in ("input", "vision", "optim", "data"):
        assert getattr(first, group) == getattr(second, group), group
    ours: dict[str, Any] = flat(second)
    assert {n for n, v in flat(simcrop).items() if ours[n] != v and not n.startswith("claim.")} == set()
