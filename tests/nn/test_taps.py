"""Features at several depths, and an encoder brought to a grid of another size."""

import pytest
import torch

from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.nn.position import interpolate_positions
from simcrop.nn.transformer import Transformer
from simcrop.nn.vit import VisionSettings, ViT

GRID = PatchGrid((6, 20, 21), (3, 5, 7))
LARGER = PatchGrid((12, 20, 28), (3, 5, 7))


def encoder(**changes: object) -> ViT:
    torch.manual_seed(0)
    return VisionSettings(**{"depth": 3, "dim": 36, "heads": 3, **changes}).build(GRID).eval()


def test_a_tap_is_the_stream_after_its_block() -> None:
    torch.manual_seed(0)
    stack, x = Transformer(12, 3, 2).eval(), torch.randn(2, 5, 12)
    first = stack.blocks[0](x)
    second = stack.blocks[1](first)
    found = stack.depths(x, taps=(2, 1))
    assert torch.equal(found.taps[0], second)
    assert torch.equal(found.taps[1], first)
    assert torch.equal(found.last, stack(x))
    with pytest.raises(SimcropError, match="layers 1 to 3, not 4"):
        stack.depths(x, taps=(4,))


@pytest.mark.parametrize("cls_token", [True, False])
def test_an_encoder_gives_patches_at_every_depth_without_its_cls(cls_token: bool) -> None:
    vision, volume = encoder(cls_token=cls_token), torch.randn(2, 1, 6, 20, 21)
    seen = vision.tokens(volume, taps=range(1, vision.layers + 1))
    assert [tap.shape for tap in seen.taps] == [(2, GRID.count, 36)] * 3
    assert torch.equal(vision.transformer.norm(seen.taps[-1]), seen.patches)
    assert torch.equal(vision(volume).patches, seen.patches)
    assert (seen.cls is not None) == cls_token


def test_positions_keep_a_ramp_and_the_ends_of_its_grid() -> None:
    ramp = torch.arange(4.0)[:, None, None, None].expand(4, 2, 3, 5).reshape(24, 5)
    doubled = interpolate_positions(ramp, (4, 2, 3), (8, 2, 3)).reshape(8, 2, 3, 5)
    torch.testing.assert_close(doubled[:, 0, 0, 0], torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]))
    assert torch.equal(interpolate_positions(ramp, (4, 2, 3), (4, 2, 3)), ramp)


def test_on_its_own_grid_an_encoder_is_the_same_and_on_a_larger_one_it_sees_more_patches() -> None:
    volume, wide = torch.randn(2, 1, 6, 20, 21), torch.randn(2, 1, 12, 20, 28)
    for kind in ("learned", "sincos3d"):
        vision = encoder(pos_embed=kind)
        assert torch.equal(vision.on_grid(GRID)(volume).patches, vision(volume).patches)
        assert vision.on_grid(LARGER)(wide).patches.shape == (2, LARGER.count, 36)
    learned = encoder(pos_embed="learned").on_grid(LARGER)
    assert isinstance(learned.position, torch.nn.Parameter)


def test_other_patches_and_an_atlas_cannot_be_brought_along() -> None:
    with pytest.raises(SimcropError, match="in patches of"):
        encoder().on_grid(PatchGrid((6, 20, 21), (6, 5, 7)))
    with pytest.raises(SimcropError, match="atlas"):
        encoder(atlas=True).on_grid(LARGER)
