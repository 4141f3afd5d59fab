"""The decoder of masked reports.

Axes: b report, t word piece, d features.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from simcrop.nn.bert import BertEncoder, BertShape, init_as_bert
from simcrop.nn.length_groups import run_in_groups
from simcrop.nn.transformer import check_heads
from simcrop.settings import Settings


class ReportDecoderSettings(Settings):
    """D_t of the paper: a BERT of 6 layers, trained from scratch, reading in both directions."""

    depth: int = Field(default=6, ge=1)
    dim: int = Field(default=768, ge=1)
    heads: int = Field(default=12, ge=1)
    hidden: int = Field(default=3072, ge=1)

    @model_validator(mode="after")
    def heads_share_features(self) -> "ReportDecoderSettings":
        """Here, so that a bad recipe dies before a run folder is made."""
        check_heads("report_decoder", self.dim, self.heads)
        return self


class ReportDecoder(nn.Module):
    """D_t of the paper: fused features in, one feature vector per word piece out; no embeddings of its own."""

    def __init__(self, settings: ReportDecoderSettings) -> None:
        super().__init__()
        shape = BertShape(
            hidden_size=settings.dim,
            num_hidden_layers=settings.depth,
            num_attention_heads=settings.heads,
            intermediate_size=settings.hidden,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.encoder = BertEncoder(shape)
        init_as_bert(self.encoder)

    def forward(
        self, fused: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"], lengths: Sequence[int] = ()
    ) -> Float[Tensor, "b t d"]:
        """`mask`: true where there is a word piece and no padding; `lengths`: how many those are, where known."""
        return run_in_groups(self.encoder, fused, mask, lengths)
