"""Our BERT against that of transformers: features, gradients and, under one seed, dropout."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.nn.bert import Bert, BertEncoder, bert_shape

PLAIN = {
    "vocab_size": 19,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 12,
}
OTHERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one head, wide norm": {"num_attention_heads": 1, "layer_norm_eps": 0.5},
    "tanh": {"hidden_act": "gelu_new", "pad_token_id": 3},
    "silu": {"hidden_act": "silu", "type_vocab_size": 1},
    "relu, no dropout": {
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
}


def both(change: dict[str, Any]) -> tuple[Bert, nn.Module]:
    """The same random weights in ours and theirs."""
    from transformers import BertConfig, BertModel

    config = BertConfig(**{**PLAIN, **change}, initializer_range=0.3)
    config._attn_implementation = "sdpa"
    torch.manual_seed(3)
    theirs = BertModel(config, add_pooling_layer=False)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = Bert(bert_shape({**PLAIN, **change, "model_type": "bert"}))
    ours.load_state_dict(theirs.state_dict())  # every name, and no other
    return ours, theirs


def texts() -> tuple[Tensor, Tensor]:
    torch.manual_seed(4)
    mask = torch.arange(12) < torch.tensor([[12], [5], [1]])
    return torch.randint(0, 19, (3, 12)) * mask, mask


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("training", [False, True], ids=["used", "trained"])
def test_features_and_gradients_are_those_of_transformers(change: dict[str, Any], training: bool) -> None:
    ours, theirs = both(change)
    ids, mask = texts()
    for model in (ours, theirs):
        model.train(training)
        torch.manual_seed(6)  # so that dropout drops the same
        found = model(ids, mask) if model is ours else model(input_ids=ids, attention_mask=mask.long())[0]
        (found[mask] ** 3).sum().backward()
        model.found = found.detach()[mask]  # type: ignore[assignment]
    torch.testing.assert_close(ours.found, theirs.found, atol=1e-5, rtol=1e-5)
    theirs_now = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs_now[name].grad, atol=1e-3, rtol=1e-4, msg=name)


def test_layers_alone_are_those_of_the_whole() -> None:
    ours, _ = both({"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
    ids, mask = texts()
    encoder = BertEncoder(ours.shape)
    encoder.load_state_dict(ours.encoder.state_dict())
    assert torch.equal(encoder(ours.embeddings(ids), mask), ours(ids, mask))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hidden_act": "mish"}, "hidden_act"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"vocab_size": "many"}, "vocab_size"),
        ({"layer_norm_eps": -1}, "layer_norm_eps"),
        ({"num_attention_heads": 5}, "split among"),
    ],
)
def test_what_is_no_such_bert_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(SimcropError, match=named):
        bert_shape({**PLAIN, **change})


def test_text_beyond_its_reach_is_refused() -> None:
    ours, _ = both({})
    with pytest.raises(SimcropError, match="13 word pieces, and this text encoder reads 12"):
        ours(torch.zeros(1, 13, dtype=torch.long), torch.ones(1, 13, dtype=torch.bool))
