"""Every method through `pretrain` on a toy cohort, what each wants of it, and the model that no step has touched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.config import Recipe, build_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.journal import read_journal
from simcrop.errors import SimcropError
from simcrop.model import load
from simcrop.tasks.training.pretrain import pretrain, untrained

TERMS = {
    "mae": ["volume"],
    "dino": ["views"],
    "mrm": ["volume", "report"],
    "ct-clip": ["contrast"],
    "m3d": ["contrast"],
    "supervised": ["labels"],
    "m3ae": ["report", "volume", "match"],
}
DECODER = {"vision_decoder": {"depth": 1, "dim": 30, "heads": 2}}
OWN = {
    "mae": DECODER,
    "dino": {"head": {"hidden": 19, "bottleneck": 7, "outputs": 11}},
    "mrm": DECODER
    | {"report_decoder": {"depth": 1, "dim": 20, "heads": 5, "hidden": 44}, "mlm": {"vocabulary": "compact"}},
    "ct-clip": {"contrast": {"dim": 17}},
    "m3d": {"contrast": {"dim": 17}, "text": {"freeze": False}},
    "m3ae": DECODER
    | {
        "co_attention": {"depth": 2, "dim": 32, "heads": 4, "hidden": 40},
        "m3ae": {"mim_layer": 1},
    },
}


@pytest.fixture
def recipe_of(toy_tree: dict[str, Any]) -> Callable[..., Recipe]:
    """The toy recipe of a method; keywords are groups that change."""

    def recipe(method: str, **groups: Any) -> Recipe:
        tree = {name: toy_tree[name] for name in ("input", "vision", "text", "engine")}
        tree |= {"method": method, "optim": {**toy_tree["optim"], "steps": 2}, **OWN.get(method, {})}
        return build_recipe(tree | {n: {**tree.get(n, {}), **g} for n, g in groups.items()}, "toy")

    return recipe


@pytest.fixture
def bare_cohort(toy_cohort: Path, tmp_path: Path) -> Path:
    """The toy cohort without its reports and labels."""
    copy = tmp_path / "bare"
    shutil.copytree(toy_cohort, copy)
    index = pl.read_parquet(copy / "studies.parquet")
    index = index.with_columns(pl.lit("").alias("findings"), pl.lit("").alias("impression"))
    index.drop([name for name in index.columns if name.startswith("label:")]).write_parquet(
        copy / "studies.parquet"
    )
    return copy


@pytest.mark.parametrize("method", TERMS)
def test_method_trains_and_its_model_embeds(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path, method: str
) -> None:
    assert pretrain(toy_cohort, recipe_of(method), tmp_path / "run").finished
    row = read_journal(tmp_path / "run" / "journal.jsonl")[-1]
    assert row["loss"] == pytest.approx(sum(row[term] for term in TERMS[method]), rel=1e-6)
    assert all(term in (tmp_path / "run" / "report.html").read_text() for term in TERMS[method])
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["method"] == config["architecture"]["method"] == method
    feature = load(tmp_path / "run").embed(open_cohort(toy_cohort)[0].volume())
    assert feature.shape == (36,)
    assert np.isfinite(feature).all()


def test_mae_needs_neither_reports_nor_a_text_encoder(
    bare_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = recipe_of("mae", text={"model": "/nowhere"})
    assert pretrain(bare_cohort, recipe, tmp_path / "run").finished
    names = {p.name for p in (tmp_path / "run" / "model").iterdir()}
    assert names == {"config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("ct-clip", "has a sentence of findings"),
        ("mrm", "has a report"),
        ("supervised", "has a label"),
        ("m3ae", "has a report, and m3ae learns from reports"),
    ],
)
def test_cohort_that_lacks_what_the_method_learns_from_is_refused(
    bare_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path, method: str, message: str
) -> None:
    with pytest.raises(SimcropError, match=message):
        pretrain(bare_cohort, recipe_of(method), tmp_path / "run")
    assert not (tmp_path / "run").exists()


CROSS = {"align": {"cross_image": {"enabled": True}}}


@pytest.mark.parametrize(
    ("method", "groups", "named"),
    [
        ("ct-clip", {}, "ct-clip compares the samples of a batch with one another (contrast)"),
        ("simcrop", CROSS, "(cross_image)"),
    ],
)
def test_a_batch_of_one_is_refused_where_samples_are_compared(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path, method: str, groups: dict, named: str
) -> None:
    cohort = tmp_path / "cohort"
    shutil.copytree(toy_cohort, cohort, ignore=shutil.ignore_patterns("sentences"))
    index = pl.read_parquet(cohort / "studies.parquet")
    training = index.filter(pl.col("split") == "train")
    for batch, studies, lone in (
        (1, training, "optim.batch = 1"),
        (4, training[:1], "one study to learn from"),
    ):
        studies.write_parquet(cohort / "studies.parquet")
        recipe = recipe_of(method, **groups, optim={"batch": batch})
        with pytest.raises(SimcropError) as refused:
            pretrain(cohort, recipe, tmp_path / "run")
        assert refused.value.reason == "lone-sample"
        assert named in refused.value.sentence
        assert lone in refused.value.sentence
        assert "\n" not in refused.value.sentence
        assert not (tmp_path / "run").exists()
        assert not (cohort / "sentences").exists()


def test_a_batch_of_one_is_enough_where_none_are(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    one = {"batch": 1, "steps": 1}
    assert pretrain(toy_cohort, recipe_of("mae", optim=one), tmp_path / "run").finished


def test_a_target_finer_than_the_input_needs_a_cohort_that_is_stored_finer(
    toy_cohort: Path, fine_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = recipe_of("mrm", mrm={"sr_scale": 2})
    with pytest.raises(SimcropError, match=r"2 times as fine .* ingest it with --spacing 7,6,12$") as refused:
        pretrain(toy_cohort, recipe, tmp_path / "run")
    assert "\n" not in refused.value.sentence
    assert not (tmp_path / "run").exists()

    assert pretrain(fine_cohort, recipe, tmp_path / "run").finished
    model, study = load(tmp_path / "run"), open_cohort(toy_cohort)[0]
    finer = next(other for other in open_cohort(fine_cohort) if other.id == study.id)
    coarse, fine = (model.embed(of.volume()) for of in (study, finer))
    np.testing.assert_allclose(fine, coarse, atol=0.1)  # one network for both, at its own spacing


def test_labels_of_the_cohort_are_those_of_the_model(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    cohort = open_cohort(toy_cohort)
    volume = cohort[0].volume()
    pretrain(toy_cohort, recipe_of("supervised"), tmp_path / "all")
    assert list(load(tmp_path / "all").scores(volume)) == cohort.labels
    chosen = ["Lung nodule", "Cardiomegaly"]
    pretrain(toy_cohort, recipe_of("supervised", head={"labels": chosen}), tmp_path / "two")
    assert list(load(tmp_path / "two").scores(volume)) == chosen
    with pytest.raises(SimcropError, match="did you mean Lung nodule"):
        pretrain(toy_cohort, recipe_of("supervised", head={"labels": ["Lung noodle"]}), tmp_path / "typo")


def test_reports_are_encoded_once_per_cohort_beside_the_sentences(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = recipe_of("ct-clip", contrast={"dim": 17, "pool": "mean", "center_text": True})
    pretrain(toy_cohort, recipe, tmp_path / "a")
    cached = {p: p.stat().st_mtime_ns for p in (toy_cohort / "sentences").glob("*-mean-64-findings.*")}
    assert len(cached) == 1
    pretrain(toy_cohort, recipe, tmp_path / "b")
    assert {p: p.stat().st_mtime_ns for p in cached} == cached
    with pytest.raises(SimcropError, match="center_text needs a frozen text encoder"):
        pretrain(
            toy_cohort,
            recipe_of("ct-clip", contrast={"center_text": True}, text={"freeze": False}),
            tmp_path / "c",
        )


def test_untrained_model_is_where_training_starts(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = recipe_of("mae", init={"patch_embed": "pca"})
    still = recipe_of("mae", init={"patch_embed": "pca"}, optim={"lr": 1e-30, "weight_decay": 0, "steps": 1})
    assert untrained(toy_cohort, recipe, tmp_path / "start") == tmp_path / "start"
    pretrain(toy_cohort, still, tmp_path / "run")
    start, trained = load(tmp_path / "start").state_dict(), load(tmp_path / "run").state_dict()
    assert set(start) == set(trained)
    for name, tensor in start.items():
        torch.testing.assert_close(tensor, trained[name], atol=1e-20, rtol=0)
    with pytest.raises(SimcropError, match="earlier"):
        untrained(toy_cohort, recipe, tmp_path / "start")
