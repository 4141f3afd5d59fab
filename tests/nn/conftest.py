"""A text encoder with all that the public CXR-BERT checkpoint carries."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

Write = Callable[..., Path]
State = dict[str, Tensor]


def cxr_bert_like(state: State) -> State:
    """Names as the public CXR-BERT checkpoint has them: prefixed encoder, MLM head, joint-space head."""
    torch.manual_seed(8)
    words = len(state["embeddings.word_embeddings.weight"])
    return {
        **{f"bert.{name}": tensor for name, tensor in state.items()},
        "bert.embeddings.position_ids": torch.arange(96)[None],
        "cls.predictions.bias": torch.randn(words),
        "cls.predictions.decoder.weight": torch.randn(words, 24),
        "cls.predictions.decoder.bias": torch.randn(words),
        "cls.predictions.transform.dense.weight": torch.randn(24, 24),
        "cls.predictions.transform.dense.bias": torch.randn(24),
        "cls.predictions.transform.LayerNorm.weight": torch.randn(24),
        "cls.predictions.transform.LayerNorm.bias": torch.randn(24),
        "cls_projection_head.dense_to_hidden.weight": torch.randn(128, 24),
        "cls_projection_head.dense_to_hidden.bias": torch.randn(128),
        "cls_projection_head.LayerNorm.weight": torch.randn(128),
        "cls_projection_head.LayerNorm.bias": torch.randn(128),
        "cls_projection_head.dense_to_output.weight": torch.randn(128, 128),
        "cls_projection_head.dense_to_output.bias": torch.randn(128),
    }


@pytest.fixture(scope="session")
def cxr_bert(tmp_path_factory: pytest.TempPathFactory, write_bert: Write) -> Path:
    return write_bert(tmp_path_factory.mktemp("cxr") / "bert", cxr_bert_like)
