"""Encoders as ONNX: the same answers in another program, and nothing of this machine in the file."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from simcrop.config import build_recipe
from simcrop.errors import SimcropError
from simcrop.model.onnx_encoder import (
    CLOSE,
    DESCRIBED,
    ONNX,
    WEIGHTS,
    Encoded,
    largest_difference,
    write_onnx,
)

SMALL = {"input": {"spacing_mm": [14, 12, 24], "shape": [16, 24, 16], "patch": [8, 8, 4]}}
STEMS = {"depth": 1, "dim": 36, "heads": 3, "stem": ["linear", "statistics", "conv"], "cells": [2, 1, 1]}
ENCODERS: dict[str, dict[str, Any]] = {
    "vit": {"method": "mae", "vision": {"depth": 1, "dim": 36, "heads": 3}},
    "every stem": {"method": "mae", "vision": {**STEMS, "windows": [[-1, 0], [-0.2, 0.4]]}},
    "learned": {
        "method": "mae",
        "vision": {"depth": 1, "dim": 36, "heads": 3, "pos_embed": "learned", "atlas": True},
    },
    "cnn": {"method": "supervised-cnn", "vision": {"dim": 16}},
}


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_encoder_answers_the_same_whatever_the_batch(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    recipe = build_recipe({**SMALL, **ENCODERS[kind]}, "toy")
    vision = recipe.vision.build(recipe.input.grid).eval()
    assert write_onnx(vision, recipe, tmp_path) < CLOSE
    described = json.loads((tmp_path / DESCRIBED).read_text())
    session = onnxruntime.InferenceSession(str(tmp_path / ONNX))
    for count in (1, 2, 5):
        volume = torch.rand(count, *described["input"]["shape"][1:]) * 2 - 1
        with torch.no_grad():
            expected = vision(volume)
        tokens, embedding = session.run(["tokens", "embedding"], {"volume": volume.numpy()})
        np.testing.assert_allclose(tokens, expected.patches, atol=1e-4)
        np.testing.assert_allclose(embedding, expected.pooled, atol=1e-4)
        assert list(tokens.shape[1:]) == described["outputs"]["tokens"]["shape"][1:]
    assert sorted(p.name for p in tmp_path.iterdir()) == [DESCRIBED, ONNX]
    content = (tmp_path / ONNX).read_bytes()
    assert b".py" not in content
    assert sys.prefix.encode() not in content


def test_weights_that_one_file_cannot_hold_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.model.onnx_encoder.ONE_FILE", 0)
    recipe = build_recipe({**SMALL, **ENCODERS["vit"]}, "toy")
    assert write_onnx(recipe.vision.build(recipe.input.grid).eval(), recipe, tmp_path) < CLOSE
    assert {p.name for p in tmp_path.iterdir()} == {ONNX, WEIGHTS, DESCRIBED}


def test_encoder_that_onnx_has_no_words_for_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = build_recipe({**SMALL, **ENCODERS["vit"]}, "toy")
    vision = recipe.vision.build(recipe.input.grid).eval()
    monkeypatch.setattr(
        vision.grid.__class__, "split", lambda *_: torch.from_numpy(np.array(vision.undone()))
    )
    with pytest.raises(SimcropError, match="ViT encoders like this cannot be written as ONNX: ") as refusal:
        write_onnx(vision, recipe, tmp_path)
    assert "\n" not in refusal.value.sentence


def test_encoder_that_would_answer_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = build_recipe({**SMALL, **ENCODERS["vit"]}, "toy")
    monkeypatch.setattr("simcrop.model.onnx_encoder.largest_difference", lambda *_: float("nan"))
    with pytest.raises(SimcropError, match="answers otherwise"):
        write_onnx(recipe.vision.build(recipe.input.grid).eval(), recipe, tmp_path)


def test_answers_that_are_no_numbers_are_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = build_recipe({**SMALL, **ENCODERS["vit"]}, "toy")
    encoded = Encoded(recipe.vision.build(recipe.input.grid).eval())

    def run(_: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        tokens, embedding = (found.numpy() for found in encoded(torch.from_numpy(given["volume"])))
        return [tokens, np.full_like(embedding, np.nan)]

    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: SimpleNamespace(run=run))
    with torch.no_grad():
        assert not largest_difference(encoded, Path("encoder.onnx"), torch.Generator()) < CLOSE


def test_missing_extra_is_one_line_and_leaves_nothing(
    simcrop: Callable, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "simcrop.model.onnx_encoder.find_spec", lambda name: None if name == "onnxscript" else name
    )
    words = ("export", run, "--licence", "apache-2.0", "--onnx", "--out", tmp_path / "out")
    assert simcrop(*words).refusal == "--onnx needs onnxscript: pip install simcrop[onnx]"
    assert not (tmp_path / "out").exists()
