"""What each word is told about the image: Eq. 5 by hand, and what every switch takes away."""

from math import sqrt

import pytest
import torch
from torch import Tensor

from simcrop.errors import SimcropError
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.fusion import CrossAttention, Fusion, FusionSettings

TEXT, VISION, WIDTH = 6, 10, 8


def fusion(**switches: object) -> Fusion:
    torch.manual_seed(0)
    return Fusion(FusionSettings(heads=2, **switches), TEXT, VISION, WIDTH)  # type: ignore[arg-type]


def seen(seed: int = 0) -> VisionFeatures:
    torch.manual_seed(seed)
    return VisionFeatures(None, torch.randn(2, 5, VISION))


def words() -> Tensor:
    torch.manual_seed(9)
    return torch.randn(2, 3, TEXT)


def test_equation_5_by_hand_for_one_head() -> None:
    attention = CrossAttention(TEXT, VISION, 4, heads=1)
    text, patches = words(), seen().patches
    wq, bq = attention.query.weight, attention.query.bias
    wk, wv = attention.key_value.weight.chunk(2)
    bk, bv = attention.key_value.bias.chunk(2)
    found = attention(text, patches)
    for b in range(2):
        for t in range(3):
            q = wq @ text[b, t] + bq
            strength = torch.stack([q @ (wk @ patches[b, v] + bk) / sqrt(4) for v in range(5)]).softmax(0)
            expected = sum(strength[v] * (wv @ patches[b, v] + bv) for v in range(5))
            torch.testing.assert_close(found[b, t], expected)


def test_fused_feature_is_the_sum_of_its_three_parts() -> None:
    whole, vision = fusion(), seen()
    assert whole.instance is not None
    assert whole.words is not None
    assert whole.residual is not None
    instance = whole.instance(vision.pooled)[:, None]
    parts = instance + whole.words(words(), vision.patches) + whole.residual(words())
    torch.testing.assert_close(whole(words(), vision), parts)


def test_projections_start_as_the_identity_on_shared_features() -> None:
    only_text = fusion(use_il=False, use_wl=False)(words(), seen())
    torch.testing.assert_close(only_text[..., :TEXT], words())
    assert not only_text[..., TEXT:].any()
    only_image = fusion(use_wl=False, text_residual=False)(words(), seen())
    torch.testing.assert_close(only_image, seen().pooled[:, None, :WIDTH].expand(2, 3, WIDTH))


def test_without_both_switches_the_image_does_not_reach_the_words() -> None:
    blind = fusion(use_il=False, use_wl=False)
    assert torch.equal(blind(words(), seen(1)), blind(words(), seen(2)))


@pytest.mark.parametrize("switch", ["use_il", "use_wl"])
def test_either_switch_alone_lets_the_image_through(switch: str) -> None:
    other = {"use_il": "use_wl", "use_wl": "use_il"}[switch]
    half = fusion(**{other: False})
    assert not torch.allclose(half(words(), seen(1)), half(words(), seen(2)))


def test_pooled_image_alone_tells_every_word_the_same() -> None:
    told = fusion(use_wl=False, text_residual=False)(words(), seen())
    assert torch.equal(told[:, 0], told[:, 1])
    assert torch.equal(told[:, 0], told[:, 2])


def test_without_the_residual_text_only_asks() -> None:
    # One patch: whatever a word asks, the answer is that patch, so that text cannot show.
    literal = fusion(text_residual=False)
    single = VisionFeatures(None, seen().patches[:, :1])
    torch.testing.assert_close(literal(words(), single), literal(words() * 3 + 1, single))
    assert not torch.allclose(fusion()(words(), single), fusion()(words() * 3 + 1, single))


def test_order_of_the_patches_does_not_matter() -> None:
    vision = seen()
    mispaired = VisionFeatures(None, vision.patches[:, torch.tensor([3, 0, 4, 1, 2])])
    torch.testing.assert_close(fusion()(words(), mispaired), fusion()(words(), vision))


def test_fusion_of_nothing_is_refused() -> None:
    with pytest.raises(SimcropError, match="use_il"):
        fusion(use_il=False, use_wl=False, text_residual=False)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(SimcropError, match=r"fusion\.heads = 3"):
        Fusion(FusionSettings(heads=3), TEXT, VISION, WIDTH)
