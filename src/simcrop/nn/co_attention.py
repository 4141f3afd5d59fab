"""Co-attention: a stack of BERT layers for a text and one for an image, each looking at itself and at the other.

Axes: b pair of text and image, t word piece, v token of the image (CLS first, if it has one), q token that asks, d
features. After Dou et al., METER, 2022, as M3AE (Chen et al., 2022) has it: both sides of a layer read what the layer
before has made of the other.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from simcrop.nn.bert import BertAttention, BertIntermediate, BertOutput, BertShape, init_as_bert
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.transformer import check_heads
from simcrop.settings import Settings


class CoAttentionSettings(Settings):
    """`depth`: layers of either side; `hidden`: features between the two linear maps of a layer. Those of M3AE, whose
    dropout of 0.1 is left out: its numbers would belong to a micro-batch, and a batch could not be cut alike.
    """

    depth: int = Field(default=6, ge=1)
    dim: int = Field(default=768, ge=1)
    heads: int = Field(default=12, ge=1)
    hidden: int = Field(default=3072, ge=1)

    @model_validator(mode="after")
    def heads_share_features(self) -> "CoAttentionSettings":
        """Here, so that a bad recipe dies before a run folder is made."""
        check_heads("co_attention", self.dim, self.heads)
        return self

    @property
    def shape(self) -> BertShape:
        return BertShape(
            hidden_size=self.dim,
            num_attention_heads=self.heads,
            intermediate_size=self.hidden,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )


@dataclass(frozen=True, eq=False)
class Side:
    """A text or an image between two layers. `real`: which of its tokens are no padding, all of them where None."""

    tokens: Float[Tensor, "b n d"]
    real: Bool[Tensor, "b 1 1 n"] | None = None


class CrossLayer(nn.Module):
    """One side of one layer: attention to itself, attention to the other side, two linear maps; each added to what it
    was given and normalised after that.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention, self.cross = BertAttention(shape), BertAttention(shape)
        self.intermediate = BertIntermediate(shape)
        self.output = BertOutput(shape, shape.intermediate_size)

    def forward(self, asking: Float[Tensor, "b q d"], own: Side, other: Side) -> Float[Tensor, "b q d"]:
        """`asking`: the tokens of `own` that are wanted, all of them or some."""
        x = self.attention(asking, own.real, own.tokens)
        x = self.cross(x, other.real, other.tokens)
        return self.output(self.intermediate(x), x)


class CoAttention(nn.Module):
    """Both stacks, and the way into them: a linear map of what either encoder has made, to one width, and a token that
    says which of the two it is. `cls`: images have such a token. With `recompute` layers are computed again in the
    backward pass.
    """

    def __init__(
        self, settings: CoAttentionSettings, text_width: int, image_width: int, cls: bool = True
    ) -> None:
        super().__init__()
        width, shape = settings.dim, settings.shape
        self.cls, self.recompute = cls, False
        self.from_text, self.from_image = nn.Linear(text_width, width), nn.Linear(image_width, width)
        self.text_token = nn.Parameter(torch.randn(width) * 0.02)
        self.image_token = nn.Parameter(torch.randn(width) * 0.02)
        self.text_layers = nn.ModuleList(CrossLayer(shape) for _ in range(settings.depth))
        self.image_layers = nn.ModuleList(CrossLayer(shape) for _ in range(settings.depth))
        init_as_bert(self)

    def enter_image(self, features: VisionFeatures) -> Float[Tensor, "b v d"]:
        """Tokens of an image, its CLS first if it has one."""
        if features.cls is None:
            return self.from_image(features.patches)
        return self.from_image(torch.cat([features.cls[:, None], features.patches], dim=1))

    def forward(
        self, text: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"], image: Float[Tensor, "b v d"]
    ) -> Float[Tensor, "b 2 d"]:
        """One vector of each text and one of each image after all layers: their first token, or where an image has no
        CLS the mean of its tokens. Nothing else is asked of the last layer.
        """
        words, picture = self.together(text, mask, image, len(self.text_layers) - 1)
        wanted = picture.tokens[:, :1] if self.cls else picture.tokens
        first = self.text_layers[-1](words.tokens[:, :1], words, picture)
        whole = self.image_layers[-1](wanted, picture, words)
        return torch.cat([first, whole.mean(1, keepdim=True)], dim=1)

    def text_after(
        self, text: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"], image: Float[Tensor, "b v d"]
    ) -> Float[Tensor, "b t d"]:
        """The texts after all layers; the last is not asked what it makes of the images."""
        words, picture = self.together(text, mask, image, len(self.text_layers) - 1)
        return self.text_layers[-1](words.tokens, words, picture)

    def image_after(
        self,
        text: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b t"],
        image: Float[Tensor, "b v d"],
        depth: int,
    ) -> Float[Tensor, "b v d"]:
        """The images after so many layers; the last of them is not asked what it makes of the texts."""
        words, picture = self.together(text, mask, image, max(0, depth - 1))
        if depth == 0:
            return picture.tokens
        return self.image_layers[depth - 1](picture.tokens, picture, words)

    def together(
        self,
        text: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b t"],
        image: Float[Tensor, "b v d"],
        depth: int,
    ) -> tuple[Side, Side]:
        """Texts and images after so many layers. `mask`: true where there is a word piece and no padding."""
        words = Side(text + self.text_token, rearrange(mask, "b t -> b 1 1 t"))
        picture = Side(image + self.image_token)
        for number in range(depth):
            if self.recompute and self.training:
                words, picture = checkpoint(self.layer, number, words, picture, use_reentrant=False)  # type: ignore[misc]
            else:
                words, picture = self.layer(number, words, picture)
        return words, picture

    def layer(self, number: int, words: Side, picture: Side) -> tuple[Side, Side]:
        """One layer of both sides."""
        read = self.text_layers[number](words.tokens, words, picture)
        seen = self.image_layers[number](picture.tokens, picture, words)
        return Side(read, words.real), Side(seen)


class Match(nn.Module):
    """Does this text belong to this image? Of one vector of each, two numbers: for no and for yes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.text, self.image = nn.Linear(width, width), nn.Linear(width, width)
        self.answer = nn.Linear(2 * width, 2)
        init_as_bert(self)

    def forward(self, pair: Float[Tensor, "b 2 d"]) -> Float[Tensor, "b 2"]:
        text, image = pair.unbind(1)
        pooled = torch.cat([self.text(text), self.image(image)], dim=-1).tanh()
        return self.answer(pooled)
