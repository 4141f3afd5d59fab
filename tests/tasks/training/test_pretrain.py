"""`simcrop pretrain` from the command line: killed, interrupted, resumed, shared by two, and refused."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from simcrop.config import build_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.checkpoint import checkpoints
from simcrop.engine.journal import read_journal
from simcrop.engine.speed import TIMINGS
from simcrop.errors import SimcropError
from simcrop.model import load
from simcrop.tasks.training.pretrain import pretrain
from simcrop.tasks.training.samples import training_studies

PATIENCE = 90.0  # seconds before a step that does not come counts as a failure


# What torchrun does for two processes, which here are forked from one that has imported everything: that takes seconds.
# That torchrun itself is obeyed is tested in test_signals.py.
TWO = """
import os, sys

import simcrop.tasks.training.pretrain
from simcrop.cli.app import main

port, *words = sys.argv[1:]
os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
first = os.fork()
os.environ |= {"RANK": "0" if first else "1", "LOCAL_RANK": "0" if first else "1"}
sys.argv = ["simcrop", *words]
try:
    main(words)
except SystemExit as ended:
    code = int(ended.code or 0)
    if first:
        code = code or os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    raise SystemExit(code) from None
"""


def command(cohort: Path, recipe: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "simcrop",
        "pretrain",
        str(cohort),
        "--recipe",
        str(recipe),
        "--out",
        str(out),
        *more,
    ]


def start(words: list[str]) -> subprocess.Popen[str]:
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=one_thread)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr."""
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


@pytest.fixture
def recipe_file(toy_tree: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    def write(**groups: Any) -> Path:
        tree = {name: {**toy_tree.get(name, {}), **groups.get(name, {})} for name in {*toy_tree, *groups}}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    return write


def test_two_processes_train_one_model_even_with_a_term_switched_off(
    toy_cohort: Path, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file(align={"use_sa": False}, optim={"steps": 4})
    words = command(toy_cohort, recipe, tmp_path / "run")[3:]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    code, errors = end(start([sys.executable, "-c", TWO, port, *words]))
    assert code == 0, errors[-3000:]
    rows = read_journal(tmp_path / "run" / "journal.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert "align" not in rows[0]
    load(tmp_path / "run")


def test_non_finite_loss_is_one_line_with_the_studies_and_exit_code_2(
    toy_cohort: Path, recipe_file: Callable[..., Path], tmp_path: Path, simcrop: Callable
) -> None:
    recipe = recipe_file(optim={"lr": 1e30, "steps": 50, "warmup_epochs": 0}, checkpoint={"every": 1})
    ran = simcrop(*command(toy_cohort, recipe, tmp_path / "run")[3:])
    code, errors = ran.code, ran.err
    error_lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert code == 2, errors
    assert len(error_lines) == 1
    assert "Traceback" not in errors
    assert "the loss is not finite" in error_lines[0]
    assert sum(study.id in error_lines[0] for study in open_cohort(toy_cohort)) >= 3
    assert checkpoints(tmp_path / "run" / "checkpoints")
    assert not (tmp_path / "run" / "model").exists()


@pytest.fixture
def tree(toy_tree: dict[str, Any]) -> dict[str, Any]:
    return {**toy_tree, "optim": {**toy_tree["optim"], "steps": 3}}


@pytest.mark.usefixtures("counted_for_real")
def test_run_folder_holds_what_was_promised_and_its_model_embeds(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    fitted = pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")
    assert (fitted.steps, fitted.finished) == (3, True)
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"run.json", "journal.jsonl", "metrics.json", "checkpoints", "model", "report.html"} <= names
    page = (tmp_path / "run" / "report.html").read_text()
    assert all(word in page for word in ("align.top_k", "Eq. 6", "<svg", "GB at the peak"))
    row = read_journal(tmp_path / "run" / "journal.jsonl")[-1]
    assert {"step", "epoch", "loss", "volume", "align", "report", "lr", *TIMINGS} <= set(row)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["cost"]["gflop_per_scan"] > 0
    assert row["of_limit"] > 0, "a toy, too, can be counted"
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["steps"] == 3
    assert metrics["peak_gb"] == row["peak_gb"]
    assert metrics["loss_last"] == pytest.approx(row["loss"])
    feature = load(tmp_path / "run").embed(open_cohort(toy_cohort)[0].volume())
    assert feature.shape == (36,)
    assert np.isfinite(feature).all()


def test_sentences_are_encoded_once_per_cohort(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "a")
    cached = {p: p.stat().st_mtime_ns for p in (toy_cohort / "sentences").iterdir()}
    assert cached
    pretrain(toy_cohort, build_recipe({**tree, "seed": 7}, "toy"), tmp_path / "b")
    assert {p: p.stat().st_mtime_ns for p in (toy_cohort / "sentences").iterdir()} == cached


def test_other_seeds_give_other_models_and_equal_ones_the_same(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        pretrain(toy_cohort, build_recipe({**tree, "seed": seed}, "toy"), tmp_path / name)
    a, b, c = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_resume_with_other_settings_is_refused_by_name(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")
    with pytest.raises(SimcropError, match="seed"):
        pretrain(toy_cohort, build_recipe({**tree, "seed": 5}, "toy"), tmp_path / "run", resume=True)
    with pytest.raises(SimcropError, match="--resume"):
        pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")


def test_settings_that_teach_nothing_may_change_when_a_run_goes_on(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")
    free: dict[str, dict[str, Any]] = {
        "data": {"workers": 1, "unreadable": 0.5},
        "checkpoint": {"every": 7, "keep": 5},
        "engine": {
            **tree["engine"],
            "monitor": 0,
            "recompute": True,
            "skip_non_finite": 3,
            "sharding": "full",
        },
        "text": {**tree["text"], "cache_sentences": False},
    }
    assert pretrain(toy_cohort, build_recipe({**tree, **free}, "toy"), tmp_path / "run", resume=True).finished
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    (continued,) = run["continued"]
    assert continued["settings_before"]["data.workers"] == 0
    assert len(continued["settings_before"]) == 9
    assert run["settings"]["engine.skip_non_finite"] == 3


def test_run_of_many_tasks_without_torchrun_is_refused(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    with pytest.raises(SimcropError, match=r"srun started 8 processes.*torchrun"):
        pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run").finished


def test_precision_that_suits_the_processor_is_written_down_and_kept(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = build_recipe({**tree, "engine": {"precision": "auto"}}, "toy"), tmp_path / "run"
    for suits, resume in ((False, False), (True, True)):
        monkeypatch.setattr("simcrop.engine.precision.processor_multiplies_bf16", lambda suits=suits: suits)
        assert pretrain(toy_cohort, recipe, run, resume=resume).finished
        for name in ("run.json", "model/config.json"):
            assert '"fp32"' in (run / name).read_text()
            assert '"auto"' not in (run / name).read_text()


def test_split_that_is_not_there_is_refused_with_those_that_are(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    recipe = build_recipe({**tree, "data": {"split": "trian"}}, "toy")
    with pytest.raises(SimcropError, match=r"'trian'.*train"):
        pretrain(toy_cohort, recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_steps_beyond_the_epochs_are_said_to_be_before_and_after(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = "pretrain: optim.epochs = 1 ends the run after step 2, before optim.steps = 90"
    for steps, times in ((90, 2), (2, 0)):
        recipe = build_recipe(
            {**tree, "optim": {**tree["optim"], "epochs": 1, "warmup_epochs": 0, "steps": steps}}, "toy"
        )
        assert pretrain(toy_cohort, recipe, tmp_path / f"run-{steps}").steps == 2
        assert capfd.readouterr().err.count(words) == times


def test_an_empty_split_is_all_of_them(toy_cohort: Path, tree: dict[str, Any]) -> None:
    cohort = open_cohort(toy_cohort)
    for split in ("", None):
        assert len(training_studies(cohort, build_recipe({**tree, "data": {"split": split}}, "toy"))) == len(
            cohort
        )


def test_a_share_that_leaves_no_report_is_named(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(toy_cohort, tmp_path / "cohort", ignore=shutil.ignore_patterns("sentences"))
    recipe = build_recipe({**tree, "data": {"share": 0.2}}, "toy")
    left = set(training_studies(open_cohort(toy_cohort), recipe).index["id"])
    table = pl.read_parquet(tmp_path / "cohort/studies.parquet")
    gone = pl.when(pl.col("id").is_in(left))
    bare = table.with_columns(gone.then(pl.lit("")).otherwise(pl.col("findings")).alias("findings"))
    bare.with_columns(gone.then(0).otherwise(pl.col("sentences")).alias("sentences")).write_parquet(
        tmp_path / "cohort/studies.parquet"
    )
    none = r"none of its \d+ studies that data\.share = 0\.2 leaves .* has a"
    with pytest.raises(SimcropError, match=none):
        pretrain(tmp_path / "cohort", recipe, tmp_path / "run")


def test_share_of_the_patients_is_whole_patients_of_the_split(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    cohort = open_cohort(toy_cohort)
    every = training_studies(cohort, build_recipe(tree, "toy"))
    recipe = build_recipe({**tree, "data": {"share": 0.5}}, "toy")
    half = training_studies(cohort, recipe)
    patients, taken = set(every.index["patient"]), set(half.index["patient"])
    assert len(taken) == round(len(patients) / 2)
    assert set(half.index["id"]) == {study.id for study in every if study.patient in taken}
    assert pretrain(toy_cohort, recipe, tmp_path / "run").finished
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["provenance"]["studies"] == len(half)


def test_centred_text_needs_a_frozen_encoder(toy_cohort: Path, tree: dict[str, Any], tmp_path: Path) -> None:
    changed = {**tree, "align": {"center_text": True}, "text": {**tree["text"], "freeze": False}}
    with pytest.raises(SimcropError, match="center_text needs a frozen text encoder"):
        pretrain(toy_cohort, build_recipe(changed, "toy"), tmp_path / "run")


def test_trained_text_and_principal_components_run_through(
    toy_cohort: Path, tree: dict[str, Any], tmp_path: Path
) -> None:
    changed = {**tree, "text": {**tree["text"], "freeze": False}, "init": {"patch_embed": "pca"}}
    assert pretrain(toy_cohort, build_recipe(changed, "toy"), tmp_path / "run").finished
    assert (tmp_path / "run" / "model" / "text" / "model.safetensors").is_file()
    load(tmp_path / "run")
