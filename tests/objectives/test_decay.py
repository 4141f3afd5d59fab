"""On which parameters weight decay acts, in every method, by their names."""

from collections.abc import Callable
from typing import Any

import pytest

from simcrop.engine.optim import OptimSettings, build_optimizer

LEARNED: dict[str, Any] = {"vision": {"pos_embed": "learned"}, "text": {"freeze": False}}


@pytest.mark.parametrize("method", ["simcrop", "ct-clip"])
def test_positions_and_tokens_never_decay_and_what_multiplies_does(build: Callable, method: str) -> None:
    objective, _ = build(method, **LEARNED)
    names = {parameter: name for name, parameter in objective.named_parameters()}
    decay, plain = build_optimizer(objective, OptimSettings(weight_decay=0.05)).param_groups
    assert (decay["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)

    text = "text.bert.embeddings."
    tables = {"vision.position", f"{text}position_embeddings.weight", f"{text}token_type_embeddings.weight"}
    assert {names[p] for p in plain["params"] if p.ndim >= 2} == tables
    spared = {names[p] for p in plain["params"]}
    assert "vision.cls_token" in spared
    assert ("vision_decoder.mask_token" in spared) is (method == "simcrop")
    assert len(spared) + len(decay["params"]) == len(names)
    if method == "simcrop":  # a choice, and MAE's: a layer is a layer, however it starts
        chosen = {"projection.vision_proj.weight", "fusion.residual.weight", "mlm_head.words.weight"}
        assert chosen <= {names[p] for p in decay["params"]}
