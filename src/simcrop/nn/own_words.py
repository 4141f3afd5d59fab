"""Words that a report decoder learns by itself: embedded at its entrance, predicted at its end, from one table.

Axes: b report, t word piece, m predicted piece, w word of the table, d features.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from simcrop.nn.bert import BertEmbeddings, BertShape


class OwnWords(nn.Module):
    """BERT's embeddings and its head for masked words, from scratch; both have the same vectors of words, as in BERT.

    `size`: word pieces of the tokenizer. `vocabulary`: ids that reports use, all when None; the table then holds those
    and `further`, such as the id that stands for a masked piece, and what is in neither is read as `unknown`.
    """

    row: Tensor

    def __init__(
        self,
        width: int,
        longest: int,
        size: int,
        unknown: int,
        further: Sequence[int] = (),
        vocabulary: Int[Tensor, " w"] | None = None,
    ) -> None:
        super().__init__()
        ids = torch.arange(size)
        if vocabulary is not None:
            ids = torch.cat([vocabulary, torch.tensor([unknown, *further])]).unique()
        row = torch.full((size,), int(torch.searchsorted(ids, unknown)))
        row[ids] = torch.arange(len(ids))
        self.register_buffer("row", row)
        shape = BertShape(
            vocab_size=len(ids),
            hidden_size=width,
            max_position_embeddings=longest,
            hidden_dropout_prob=0.0,
            type_vocab_size=1,
            pad_token_id=None,
        )
        self.embeddings = BertEmbeddings(shape)
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(len(ids)))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """Each piece by its word and its place."""
        return self.embeddings(self.row[ids])

    def predict(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m w"]:
        """From decoded pieces to the words of the table."""
        words = self.embeddings.word_embeddings.weight
        return linear(self.norm(gelu(self.dense(x))), words, self.bias)

    def vocabulary_index(self, ids: Int[Tensor, " m"]) -> Int[Tensor, " m"]:
        """Where each id stands in the table."""
        return self.row[ids]
