"""The straight line on a CUDA device: train, resume, load, embed, ground, with the processor's numbers beside it.

Runs where there is a card. Axes: n patch, s sentence.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import simcrop
from simcrop.config import load_recipe
from simcrop.tasks.training.pretrain import pretrain

pytestmark = pytest.mark.cuda


@pytest.fixture
def on_processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on torch sees no card."""
    return lambda: monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def losses(run: Path) -> list[float]:
    return [json.loads(row)["loss"] for row in (run / "journal.jsonl").read_text().splitlines()]


def trained(line: Any, out: Path, *changes: str) -> list[float]:
    settings = [*type(line).SETTINGS, "optim.steps=6", "checkpoint.every=2", *changes]
    pretrain(line.cohort, load_recipe("simcrop-tiny", settings), out)
    return losses(out)


def trained_alone(line: Any, out: Path, *changes: str) -> list[float]:
    """In a process of its own, whose arguments nobody checks: the compiler cannot read what does."""
    settings = [*type(line).SETTINGS, "optim.steps=6", "checkpoint.every=2", *changes]
    asked = [word for change in settings for word in ("--set", change)]
    words = [
        sys.executable,
        "-m",
        "simcrop",
        "pretrain",
        line.cohort,
        "--recipe",
        "simcrop-tiny",
        "--out",
        out,
        *asked,
    ]
    subprocess.run([str(word) for word in words], check=True)
    return losses(out)


def test_a_run_loses_what_it_loses_on_the_processor(line, tmp_path: Path, on_processor) -> None:
    card = trained(line, tmp_path / "card", "engine.precision=fp32", "data.workers=2")
    on_processor()
    assert card == pytest.approx(trained(line, tmp_path / "here", "engine.precision=fp32"), rel=2e-3)


def test_a_run_in_bf16_goes_the_same_way(line, tmp_path: Path, on_processor) -> None:
    card = trained(line, tmp_path / "card", "engine.precision=bf16")
    on_processor()
    assert card == pytest.approx(trained(line, tmp_path / "here", "engine.precision=fp32"), rel=3e-2)


@pytest.mark.parametrize("replayed", ["false", "true"])
def test_compiled_blocks_lose_what_others_do(line, tmp_path: Path, replayed: str) -> None:
    plain = trained(line, tmp_path / "plain", "engine.precision=bf16")
    ways = ("engine.precision=bf16", "engine.compile=true", f"engine.cuda_graphs={replayed}")
    compiled = trained_alone(line, tmp_path / "compiled", *ways)
    assert compiled == pytest.approx(plain, rel=1e-2)


@pytest.mark.parametrize("changes", [(), ("engine.micro_batch=2",)])
def test_replayed_blocks_lose_what_others_do(line, tmp_path: Path, changes: tuple[str, ...]) -> None:
    asked = ("engine.precision=fp32", "data.workers=2", *changes)
    plain = trained(line, tmp_path / "plain", *asked)
    replayed = trained(line, tmp_path / "replayed", *asked, "engine.cuda_graphs=true")
    assert replayed == pytest.approx(plain, rel=1e-4)


def test_a_model_is_loaded_onto_the_card_and_says_the_same(line) -> None:
    volume = simcrop.read_volume(line.scan)
    card, here = simcrop.load(line.run), simcrop.load(line.run, device="cpu")
    assert card.device.type == "cuda"
    assert here.device.type == "cpu"
    a, b = card.embed(volume), here.embed(volume)
    assert np.linalg.norm(a - b) / np.linalg.norm(b) < 3e-2
    sentence = ["A nodule in the left upper lobe."]
    [there], [reference] = card.ground(volume, sentence), here.ground(volume, sentence)
    np.testing.assert_allclose(there.patches, reference.patches, atol=3e-2)


def test_verbs_work_on_the_card(line, tmp_path: Path, simcrop: Callable[..., Any]) -> None:
    embedded = simcrop("embed", line.run, line.cohort, "--out", tmp_path / "embedded")
    assert embedded.code == 0, embedded
    assert len(pl.read_parquet(tmp_path / "embedded" / "embeddings.parquet")) > 0
    grounded = simcrop(
        *("ground", line.run, line.scan, "--sentence", "No pleural effusion.", "--out", tmp_path / "grounded")
    )
    assert grounded.code == 0, grounded
    probed = simcrop("probe", line.run, line.cohort, "--out", tmp_path / "probed")
    assert probed.code in (0, 2), probed  # so few patients may have no label to judge


def test_an_interrupted_run_ends_where_an_undisturbed_one_does(line, tmp_path: Path) -> None:
    whole = trained(line, tmp_path / "whole", "engine.precision=fp32")
    part = [*type(line).SETTINGS, "optim.steps=6", "checkpoint.every=2", "engine.precision=fp32"]
    recipe = load_recipe("simcrop-tiny", part)

    def stop(step: int, steps: int, words: str) -> None:
        del steps, words
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    assert not pretrain(line.cohort, recipe, tmp_path / "part", progress=stop).finished
    assert pretrain(line.cohort, recipe, tmp_path / "part", resume=True).finished
    assert losses(tmp_path / "part") == pytest.approx(whole, rel=1e-3)
