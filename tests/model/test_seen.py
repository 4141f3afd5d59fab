"""A scan that was looked at, on a finer grid than its patches.

Axes: s sentence, x y z cells of half a patch.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simcrop.config import build_recipe
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.model import Model
from simcrop.model.heat import refuse_no_question
from simcrop.nn.text_encoder import read_text_encoder

SENTENCES = ["a nodule in the left upper lobe.", "no effusion."]


@pytest.fixture
def model(toy_tree: dict[str, Any], tiny_bert: Path) -> Model:
    """Of patches that can be halved."""
    even = {"spacing_mm": [14, 12, 24], "shape": [24, 28, 16], "patch": [6, 4, 4]}
    torch.manual_seed(0)
    return Model(
        build_recipe(toy_tree | {"input": even}, "toy"),
        read_text_encoder(tiny_bert),
        Tokenizer.load(tiny_bert),
    )


def test_a_fine_look_is_the_mean_of_eight_that_were_shifted(model: Model) -> None:
    hu = np.random.default_rng(0).normal(-300, 400, (25, 27, 17)).astype(np.float32)
    seen = model.look(Volume(hu, np.diag([-13.0, 12.5, 21.0, 1.0])))
    found = seen.fine(SENTENCES).reshape(2, 8, 14, 8)
    texts = model.encode(SENTENCES)
    for cell in ((0, 0, 0), (3, 6, 7), (7, 13, 4)):
        held = []
        for back in np.ndindex(2, 2, 2):
            moved = torch.full((1, 1, 27, 30, 18), -1.0)
            moved[..., 3:, 2:, 2:] = seen.volume
            x, y, z = ((1 - bit) * half for bit, half in zip(back, (3, 2, 2), strict=True))
            patch = [(c + bit) // 2 for c, bit in zip(cell, back, strict=True)]
            if all(p < n for p, n in zip(patch, model.grid.shape, strict=True)):
                looked = model.regions_of(moved[..., x : x + 24, y : y + 28, z : z + 16])[0]
                held.append(texts @ looked.reshape(*model.grid.shape, -1)[*patch])
        expected = torch.stack(held).mean(0)
        torch.testing.assert_close(found[:, *cell], expected, rtol=1e-4, atol=1e-5)
    coarse, fine = seen.ground(SENTENCES, 1)[0], seen.ground(SENTENCES, 1, fine=8)[0]
    assert fine.patches.shape == (8, 14, 8)
    assert fine.boxes_mm.shape == (8, 2, 3)
    np.testing.assert_allclose(np.ptp(fine.boxes_mm[0], axis=0) * 2, np.ptp(coarse.boxes_mm[0], axis=0))
    assert (np.isnan(fine.map) == np.isnan(coarse.map)).all()


def test_finer_looks_are_taken_once_however_many_sentences_follow(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, looks, look = (
        model.look(Volume(np.zeros((25, 27, 17), np.float32), np.eye(4))),
        [],
        model.regions_of,
    )
    monkeypatch.setattr(model, "regions_of", lambda volumes: looks.append(1) or look(volumes))
    first = seen.fine(SENTENCES)
    taken = len(looks)
    assert taken in (7, 8)  # the eighth begins where the plain look does
    assert torch.equal(seen.fine(SENTENCES[::-1]).flip(0), first)
    assert len(looks) == taken


@pytest.mark.parametrize("top_k", [-1, 0])
def test_boxes_are_at_least_one(model: Model, top_k: int) -> None:
    scan = Volume(np.zeros((24, 28, 16), np.float32), np.diag([14.0, 12, 24, 1]))
    for looked in (model.look(scan), model.look_at_whole(scan)):
        with pytest.raises(SimcropError, match=f"top_k wants a whole number from 1 on or auto, got {top_k}"):
            looked.ground(SENTENCES, top_k)


@pytest.mark.parametrize("top_k", [2.5, "x", True])
def test_what_is_no_number_of_boxes_is_refused(top_k: object) -> None:
    with pytest.raises(SimcropError, match="top_k wants"):
        refuse_no_question(SENTENCES, top_k)
    for good in (None, "auto", 3, np.int64(3)):
        refuse_no_question(SENTENCES, good)


def test_a_sentence_that_is_no_text_is_named_by_its_kind() -> None:
    with pytest.raises(SimcropError, match="a list of texts, found int in it"):
        refuse_no_question(["A nodule.", 3], None)


@pytest.mark.parametrize(
    ("sentences", "said"),
    [
        ("A nodule.", "found one text"),
        (["A nodule.", " "], "a sentence is empty"),
        (["A nodule.", os.fsdecode(b"M\xfcller")], "some of it is not UTF-8"),
    ],
)
def test_one_text_is_not_taken_for_its_letters_nor_nothing_for_a_sentence(
    model: Model, sentences: Any, said: str
) -> None:
    scan = Volume(np.zeros((24, 28, 16), np.float32), np.diag([14.0, 12, 24, 1]))
    for ask in (model.look(scan).ground, model.look_at_whole(scan).ground, lambda of: model.ground(scan, of)):
        with pytest.raises(SimcropError, match=said):
            ask(sentences)
