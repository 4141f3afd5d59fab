"""BERT (Devlin et al. 2019): the text encoder's network and, without word embeddings, the report decoder's.

Written out since the library that has it takes five seconds to import, in every process that reads a sentence. Tensors
have the names of the published files (`encoder.layer.0.attention.self.query.weight`), and a test holds every feature
and gradient to that library's.

Axes: b text, t word piece, s what it looks at, h head, d features.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from einops import rearrange
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, silu

from simcrop.errors import SimcropError
from simcrop.nn.attention import attend
from simcrop.nn.transformer import check_heads

Activation = Literal["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"]


def gelu_tanh(x: Tensor) -> Tensor:
    return gelu(x, approximate="tanh")


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": relu,
    "silu": silu,
    "swish": silu,
}


class BertShape(BaseModel):
    """What a `config.json` says of a BERT, under its names there; what it says besides is of no use here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    vocab_size: int = Field(default=30522, ge=1)
    hidden_size: int = Field(default=768, ge=1)
    num_hidden_layers: int = Field(default=12, ge=1)
    num_attention_heads: int = Field(default=12, ge=1)
    intermediate_size: int = Field(default=3072, ge=1)
    hidden_act: Activation = "gelu"
    hidden_dropout_prob: float = Field(default=0.1, ge=0, lt=1)
    attention_probs_dropout_prob: float = Field(default=0.1, ge=0, lt=1)
    max_position_embeddings: int = Field(default=512, ge=1)
    type_vocab_size: int = Field(default=2, ge=1)
    layer_norm_eps: float = Field(default=1e-12, gt=0)
    pad_token_id: int | None = 0


def bert_shape(config: Mapping[str, Any]) -> BertShape:
    """Raises no-text-encoder for what no BERT of this kind can be."""
    try:
        shape = BertShape.model_validate(dict(config))
    except ValidationError as error:
        wrong = error.errors()[0]
        name = ".".join(str(part) for part in wrong["loc"])
        raise SimcropError("no-text-encoder", f"{name} = {wrong['input']!r}: {wrong['msg']}") from error
    check_heads("text encoder", shape.hidden_size, shape.num_attention_heads)
    return shape


class BertEmbeddings(nn.Module):
    """Of the word, of its place, and of the first of two texts, since there is never a second."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        width = shape.hidden_size
        self.word_embeddings = nn.Embedding(shape.vocab_size, width, padding_idx=shape.pad_token_id)
        self.position_embeddings = nn.Embedding(shape.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(shape.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        words = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        return self.dropout(self.LayerNorm(words + self.position_embeddings.weight[: ids.shape[1]]))


class BertSelfAttention(nn.Module):
    """Softmax attention over the real word pieces of a text: its own, or whatever else it is given to look at."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        width = shape.hidden_size
        self.heads, self.dropout = shape.num_attention_heads, shape.attention_probs_dropout_prob
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b 1 1 s"] | None,
        seen: Float[Tensor, "b s d"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """`seen`: what is looked at, x itself as a rule; `mask`: which of it is real, all of it where None."""
        seen = x if seen is None else seen
        q, k, v = (
            rearrange(part(of), "b t (h d) -> b h t d", h=self.heads)
            for part, of in ((self.query, x), (self.key, seen), (self.value, seen))
        )
        dropout = self.dropout if self.training else 0.0
        found = attend(q, k, v, mask, dropout)
        return rearrange(found, "b h t d -> b t (h d)")


class BertOutput(nn.Module):
    """What a half of a layer found, added to what it was given, and normalised after that."""

    def __init__(self, shape: BertShape, wide_in: int) -> None:
        super().__init__()
        self.dense = nn.Linear(wide_in, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, found: Float[Tensor, "b t e"], x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        return self.LayerNorm(self.dropout(self.dense(found)) + x)


class BertAttention(nn.Module):
    """The first half of a layer."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.self = BertSelfAttention(shape)
        self.output = BertOutput(shape, shape.hidden_size)

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b 1 1 s"] | None,
        seen: Float[Tensor, "b s d"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        return self.output(self.self(x, mask, seen), x)


class BertIntermediate(nn.Module):
    """The wide middle of the second half."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden_size, shape.intermediate_size)
        self.activation = ACTIVATIONS[shape.hidden_act]

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t e"]:
        return self.activation(self.dense(x))


class BertLayer(nn.Module):
    """Attention, then two linear layers; each normalised after it was added."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention = BertAttention(shape)
        self.intermediate = BertIntermediate(shape)
        self.output = BertOutput(shape, shape.intermediate_size)

    def forward(self, x: Float[Tensor, "b t d"], mask: Bool[Tensor, "b 1 1 t"]) -> Float[Tensor, "b t d"]:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class BertEncoder(nn.Module):
    """The layers alone: what is to be read is embedded already."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(shape) for _ in range(shape.num_hidden_layers))

    def forward(self, x: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """`mask`: true where there is a word piece and no padding. Nobody asks whether it is true everywhere: the
        device would be waited for.
        """
        keys = rearrange(mask, "b t -> b 1 1 t")
        for layer in self.layer:
            x = layer(x, keys)
        return x


def init_as_bert(module: nn.Module) -> None:
    """Small random weights and zero biases in every linear layer, as BERT starts."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)


class Bert(nn.Module):
    """Word pieces in, a feature vector for each out."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = BertEmbeddings(shape)
        self.encoder = BertEncoder(shape)

    def forward(self, ids: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """`mask`: true where there is a word piece and no padding. Raises bad-setting for a text beyond its reach."""
        if ids.shape[1] > self.shape.max_position_embeddings:
            raise SimcropError(
                "bad-setting",
                f"a text of {ids.shape[1]} word pieces, and this text encoder reads "
                f"{self.shape.max_position_embeddings}",
            )
        return self.encoder(self.embeddings(ids), mask)
