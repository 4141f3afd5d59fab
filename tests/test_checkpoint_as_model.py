"""A checkpoint of a run that goes on, looked at as a model: all that was trained, and one text encoder for all."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from simcrop.config import build_recipe
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.engine.checkpoint import load_checkpoint, save_checkpoint, training_state
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.model import load
from simcrop.model.folder import describe_model
from simcrop.nn.text_encoder import read_text_encoder
from simcrop.objectives.method import Objective
from simcrop.objectives.needs import Components
from simcrop.objectives.simcrop import SimCroP

M3AE = {
    "method": "m3ae",
    "co_attention": {"depth": 1, "dim": 32, "heads": 4, "hidden": 40},
    "m3ae": {"mim_layer": 1},
}


@pytest.mark.parametrize("freeze", [True, False])
def test_checkpoints_share_one_text_encoder_and_carry_what_was_trained_of_it(
    toy_tree: dict[str, Any], tiny_bert: Path, tmp_path: Path, freeze: bool
) -> None:
    recipe = build_recipe({**toy_tree, "text": {**toy_tree["text"], "freeze": freeze}}, "toy")
    text, tokenizer = read_text_encoder(tiny_bert, freeze), Tokenizer.load(tiny_bert)
    objective = SimCroP(recipe, recipe.input.grid, text, tokenizer)
    optimizer = build_optimizer(objective, OptimSettings())

    def describe(folder: Path) -> None:
        describe_model(recipe, text, tokenizer, {}, folder)

    found = tmp_path / "checkpoints"
    for step in (4, 8):
        with torch.no_grad():
            for parameter in objective.parameters():
                if parameter.requires_grad:
                    parameter += step
        state = training_state(objective, optimizer, step)
        model = load(save_checkpoint(found, state, describe))
        for name, tensor in model.state_dict().items():
            assert torch.equal(objective.state_dict()[name], tensor), name
    assert sorted(p.name for p in found.iterdir()) == ["step-00000004", "step-00000008", "text"]
    config = json.loads((found / "step-00000008" / "config.json").read_text())
    assert config["text_encoder"] == "text/"
    assert not list(found.glob("step-*/text"))


@pytest.mark.parametrize("freeze", [True, False])
def test_a_method_whose_models_take_no_sentences_carries_no_text_encoder(
    toy_tree: dict[str, Any], tiny_bert: Path, tmp_path: Path, freeze: bool
) -> None:
    tree = {name: toy_tree[name] for name in ("input", "vision", "vision_decoder", "text")} | M3AE
    recipe = build_recipe({**tree, "text": {**tree["text"], "freeze": freeze}}, "toy")

    def built() -> Objective:
        reader = read_text_encoder(tiny_bert, freeze), Tokenizer.load(tiny_bert)
        return recipe.build(Components(recipe.input.grid, *reader))

    objective, again = built(), built()
    state = training_state(objective, build_optimizer(objective, OptimSettings()), 4)
    drawn = torch.get_rng_state()
    checkpoint = save_checkpoint(
        tmp_path / "checkpoints",
        state,
        lambda folder: describe_model(recipe, objective.text, objective.tokenizer, {}, folder),
    )
    assert torch.equal(drawn, torch.get_rng_state()), "describing a run must not change how it goes on"
    config = json.loads((checkpoint / "config.json").read_text())
    assert (config["text_encoder"], config["tokenizer"]) == (None, None)
    assert {p.name for p in tmp_path.rglob("*")} & {"text", "tokenizer", "vocab.txt"} == set()
    model = load(checkpoint)
    assert model.text is None
    for name, tensor in model.state_dict().items():
        assert torch.equal(objective.state_dict()[name], tensor), name
    assert load_checkpoint(checkpoint, again, build_optimizer(again, OptimSettings())) == 4
    for name, tensor in objective.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
