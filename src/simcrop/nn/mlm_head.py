"""The head that predicts masked words.

Axes: m masked word piece, d features, w word of the vocabulary.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu

from simcrop.nn.text_encoder import TextEncoder


class MlmHead(nn.Module):
    """From a decoded feature to the words of the vocabulary; runs on masked pieces only.

    Starts from the text encoder's own MLM head where it has one and the widths agree, otherwise from its word
    embeddings; trainable and tied to nothing. `vocabulary` keeps only those ids (`mlm.vocabulary = compact`).
    """

    vocabulary: Tensor

    def __init__(self, width: int, text: TextEncoder, vocabulary: Int[Tensor, " w"] | None = None) -> None:
        super().__init__()
        start, embeddings = text.mlm_start, text.bert.embeddings.word_embeddings.weight.detach()
        ids = torch.arange(len(embeddings)) if vocabulary is None else vocabulary
        self.register_buffer("vocabulary", ids)
        text_width = embeddings.shape[1]
        self.dense = nn.Linear(width, text_width)
        self.norm = nn.LayerNorm(text_width, eps=1e-12)
        self.words = nn.Linear(text_width, len(ids))
        bias = start.get("bias", start.get("decoder.bias", torch.zeros(len(embeddings))))
        with torch.no_grad():
            self.words.weight.copy_(start.get("decoder.weight", embeddings)[ids])
            self.words.bias.copy_(bias[ids])
            if width == text_width and "transform.dense.weight" in start:
                self.dense.weight.copy_(start["transform.dense.weight"])
                self.dense.bias.copy_(start["transform.dense.bias"])
                self.norm.weight.copy_(start["transform.LayerNorm.weight"])
                self.norm.bias.copy_(start["transform.LayerNorm.bias"])

    def forward(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m w"]:
        return self.words(self.norm(gelu(self.dense(x))))

    def vocabulary_index(self, ids: Int[Tensor, " m"]) -> Int[Tensor, " m"]:
        """Where each word-piece id stands in this head's vocabulary (rising, and holding every id asked for)."""
        return torch.searchsorted(self.vocabulary, ids)
