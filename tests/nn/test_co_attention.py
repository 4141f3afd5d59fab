"""Co-attention against layers of plain torch with the same weights, and the yes and no of a match by hand.

Axes: b 3 pairs, t 6 word pieces, v 8 tokens of an image, d 24 features.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from simcrop.errors import SimcropError
from simcrop.nn.bert import BertAttention
from simcrop.nn.co_attention import CoAttention, CoAttentionSettings, CrossLayer, Match
from simcrop.nn.encoder import VisionFeatures

SIZES = CoAttentionSettings(depth=3, dim=24, heads=4, hidden=40)
LENGTHS = torch.tensor([6, 2, 4])


@pytest.fixture
def co_attention() -> CoAttention:
    torch.manual_seed(1)
    module = CoAttention(SIZES, text_width=10, image_width=14)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module


@pytest.fixture
def given() -> tuple[Tensor, Tensor, Tensor]:
    """Texts, which of their pieces are real, and images."""
    torch.manual_seed(2)
    return torch.randn(3, 6, 24), torch.arange(6) < LENGTHS[:, None], torch.randn(3, 8, 24)


def attend(ours: BertAttention, x: Tensor, seen: Tensor, padding: Tensor | None) -> Tensor:
    """The same by torch's own attention."""
    theirs = nn.MultiheadAttention(24, 4, batch_first=True)
    parts = (ours.self.query, ours.self.key, ours.self.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.weight.copy_(ours.output.dense.weight)
        theirs.out_proj.bias.copy_(ours.output.dense.bias)
    found = theirs(x, seen, seen, key_padding_mask=padding)[0]
    return ours.output.LayerNorm(found + x)


def layer(
    ours: CrossLayer, x: Tensor, padding: Tensor | None, other: Tensor, hidden: Tensor | None
) -> Tensor:
    x = attend(ours.attention, x, x, padding)
    x = attend(ours.cross, x, other, hidden)
    return ours.output.LayerNorm(ours.output.dense(gelu(ours.intermediate.dense(x))) + x)


def plain(
    module: CoAttention, text: Tensor, mask: Tensor, image: Tensor, depth: int
) -> tuple[Tensor, Tensor]:
    """Both sides after so many layers, each of which reads what the layer before has made of the other."""
    text, image = text + module.text_token, image + module.image_token
    for reads, sees in list(zip(module.text_layers, module.image_layers, strict=True))[:depth]:
        text, image = layer(reads, text, ~mask, image, None), layer(sees, image, None, text, ~mask)
    return text, image


def test_both_sides_are_those_of_plain_torch(co_attention: CoAttention, given: tuple[Tensor, ...]) -> None:
    text, mask, image = given
    words, seen = plain(co_attention, text, mask, image, 3)
    torch.testing.assert_close(co_attention.text_after(text, mask, image)[mask], words[mask])
    torch.testing.assert_close(co_attention.image_after(text, mask, image, 3), seen)
    pair = torch.stack([words[:, 0], seen[:, 0]], dim=1)
    torch.testing.assert_close(co_attention(text, mask, image), pair)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_images_are_taken_after_any_layer(
    co_attention: CoAttention, given: tuple[Tensor, ...], depth: int
) -> None:
    expected = plain(co_attention, *given, depth)[1]
    torch.testing.assert_close(co_attention.image_after(*given, depth), expected)


def test_an_image_without_cls_is_the_mean_of_its_tokens(given: tuple[Tensor, ...]) -> None:
    torch.manual_seed(3)
    module = CoAttention(SIZES, 10, 14, cls=False)
    torch.testing.assert_close(module(*given)[:, 1], plain(module, *given, 3)[1].mean(1))


def test_padding_of_a_text_is_seen_by_nobody(co_attention: CoAttention, given: tuple[Tensor, ...]) -> None:
    text, mask, image = given
    other = torch.where(mask[..., None], text, torch.randn_like(text))
    torch.testing.assert_close(co_attention(other, mask, image), co_attention(text, mask, image))


def test_layers_computed_again_give_the_same_gradient(
    co_attention: CoAttention, given: tuple[Tensor, ...]
) -> None:
    gradients = []
    for again in (False, True):
        co_attention.recompute = again
        co_attention.zero_grad()
        co_attention(*given).square().sum().backward()
        gradients.append([p.grad for p in co_attention.parameters() if p.grad is not None])
    torch.testing.assert_close(*gradients)


def test_cls_enters_first_and_patches_after_it(co_attention: CoAttention) -> None:
    cls, patches = torch.randn(3, 14), torch.randn(3, 7, 14)
    entered = co_attention.enter_image(VisionFeatures(cls, patches))
    torch.testing.assert_close(entered[:, 0], co_attention.from_image(cls))
    torch.testing.assert_close(entered[:, 1:], co_attention.from_image(patches))
    torch.testing.assert_close(co_attention.enter_image(VisionFeatures(None, patches)), entered[:, 1:])


def test_match_is_two_pooled_vectors_and_one_linear_map() -> None:
    torch.manual_seed(4)
    match, pair = Match(24), torch.randn(3, 2, 24)
    text = (pair[:, 0] @ match.text.weight.T + match.text.bias).tanh()
    image = (pair[:, 1] @ match.image.weight.T + match.image.bias).tanh()
    by_hand = text @ match.answer.weight[:, :24].T + image @ match.answer.weight[:, 24:].T + match.answer.bias
    torch.testing.assert_close(match(pair), by_hand)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(SimcropError, match=r"co_attention\.dim = 24 cannot be split"):
        CoAttentionSettings(dim=24, heads=5)
