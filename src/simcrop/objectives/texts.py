"""The texts of a batch as vectors: cached when the text encoder is frozen, encoded on the way when it is trained.

Axes: s text (a sentence, or a whole report), d features.
"""

from jaxtyping import Float
from torch import Tensor

from simcrop.data.samples.batch import Sentences
from simcrop.data.samples.tokenizer import Tokens
from simcrop.errors import SimcropError
from simcrop.nn.text_encoder import Pool, TextEncoder


def text_features(texts: Sentences, text: TextEncoder, pool: Pool) -> Float[Tensor, "s d"]:
    """One vector per text of the batch."""
    if texts.features is not None:
        return texts.features
    if texts.tokens is None:
        raise SimcropError("bad-batch", "the batch carries neither features nor tokens of its sentences")
    return encode_texts(texts.tokens, text, pool)


def encode_texts(tokens: Tokens, text: TextEncoder, pool: Pool) -> Float[Tensor, "s d"]:
    """One vector per text, encoded now."""
    return text.pool(text(tokens.ids, tokens.mask, tokens.lengths), tokens.mask, pool)


def has_spare_head(text: TextEncoder, pool: Pool) -> bool:
    """Whether a trained text encoder carries a projection that nothing is pooled with, and so gets no gradient."""
    return not text.frozen and text.projection is not None and pool != "proj128"
