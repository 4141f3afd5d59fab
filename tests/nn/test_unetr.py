"""UNETR: MONAI's own with the same weights, and what MONAI's cannot: any depth, any patch, any grid.

Axes: b batch, n patch, d features, c class, x y z voxels, no two sizes alike.
"""

import pytest
import torch
from torch import nn

from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.nn.unet_blocks import Grown, Interpolated, Lift, Merge, PlainBlock, ResidualBlock
from simcrop.nn.unetr import UnetrDecoder, UnetrSettings, steps_of, tap
from simcrop.nn.vit import VisionSettings


def test_a_patch_is_grown_by_its_factors() -> None:
    assert steps_of((16, 16, 8)) == [(2, 2, 2)] * 3 + [(2, 2, 1)]
    assert steps_of((8, 8, 4)) == [(2, 2, 2)] * 2 + [(2, 2, 1)]
    assert steps_of((6, 4, 5)) == [(2, 2, 5), (3, 2, 1)]
    with pytest.raises(SimcropError, match=r"input.patch = \[1, 1, 1\]: a patch of one voxel"):
        steps_of((1, 1, 1))


@pytest.mark.parametrize(
    ("layers", "taps"), [(8, (2, 4, 6, 8)), (12, (3, 6, 9, 12)), (4, (1, 2, 3, 4)), (3, (1, 2, 2, 3))]
)
def test_taps_are_spread_over_any_depth(layers: int, taps: tuple[int, ...]) -> None:
    assert UnetrSettings().tapped(layers, (16, 16, 8)) == taps


@pytest.mark.parametrize("taps", [(1, 2, 3), (2, 1, 3, 4), (2, 4, 6, 9)])
def test_taps_that_no_encoder_has_are_refused(taps: tuple[int, ...]) -> None:
    with pytest.raises(
        SimcropError, match=r"decoder.taps = .* need 4 layers in their order, of the encoder's 8"
    ):
        UnetrSettings(taps=taps).tapped(8, (16, 16, 8))


def test_the_last_layer_is_tapped_after_the_norm_and_others_before_it_none_with_the_class_token() -> None:
    torch.manual_seed(0)
    grid = PatchGrid((8, 12, 4), (4, 4, 2))
    vision = VisionSettings(depth=3, dim=12, heads=2).build(grid).eval()
    volume = torch.randn(2, 1, 8, 12, 4)
    first, last = tap(vision, volume, (1, 3))
    whole = vision(volume, taps=(1, 3))
    assert torch.equal(first, whole.taps[0])
    assert torch.equal(last, whole.patches)
    assert not torch.equal(last, whole.taps[1])
    assert first.shape == (2, grid.count, 12)
    second, third = tap(vision, volume, (1, 2))
    assert torch.equal(second, first)
    assert torch.equal(third, vision(volume, taps=(2,)).taps[0])


@pytest.mark.parametrize("upsample", ["interpolated", "transposed"])
@pytest.mark.parametrize("stem", ["residual", "convolution"])
@pytest.mark.parametrize(
    ("volume", "patch"), [((8, 16, 12), (4, 4, 2)), ((12, 4, 10), (6, 4, 5)), ((4, 6, 8), (2, 2, 2))]
)
def test_every_voxel_has_logits_on_any_grid_and_every_parameter_learns(
    volume: tuple[int, int, int], patch: tuple[int, int, int], upsample: str, stem: str
) -> None:
    torch.manual_seed(0)
    grid = PatchGrid(volume, patch)
    settings = UnetrSettings(feature_size=3, upsample=upsample, stem=stem)
    decoder = UnetrDecoder(settings, grid, 10, classes=4)
    taps = tuple(torch.randn(2, grid.count, 10) for _ in settings.tapped(5, patch))
    logits = decoder(torch.randn(2, 1, *volume), taps)
    assert logits.shape == (2, 5, *volume)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_a_patch_speaks_for_its_own_place() -> None:
    """A changed feature changes the logits in its own patch most."""
    torch.manual_seed(0)
    grid = PatchGrid((16, 24, 8), (4, 4, 2))
    decoder = UnetrDecoder(UnetrSettings(feature_size=4), grid, 6, classes=1)
    taps = tuple(torch.randn(1, grid.count, 6) for _ in range(2))
    volume, changed = torch.zeros(1, 1, 16, 24, 8), taps[-1].clone()
    number = 2 * 6 * 4 + 4 * 4 + 1  # of 4 x 6 x 4 patches the one at (2, 4, 1)
    changed[0, number] += 100
    moved = (decoder(volume, taps) - decoder(volume, (taps[0], changed))).abs().sum(1)[0].detach()
    moved = moved.reshape(4, 4, 6, 4, 4, 2).mean((1, 3, 5))
    assert moved[2, 4, 1] == moved.max()


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """MONAI's own; the grid of its patches is 2 x 1 x 3."""
    from monai.networks.nets.unetr import UNETR

    torch.manual_seed(0)
    return UNETR(1, 3, (32, 16, 48), feature_size=4, hidden_size=12, mlp_dim=16, num_heads=2).eval()


def test_with_the_same_weights_it_is_monai_s_there_and_back(theirs: nn.Module) -> None:
    grid = PatchGrid((32, 16, 48), (16, 16, 16))
    ours = UnetrDecoder(UnetrSettings(feature_size=4, upsample="transposed"), grid, 12, classes=2)
    carry(theirs, ours)
    volume = torch.randn(2, 1, 32, 16, 48)
    with torch.no_grad():
        last, layers = theirs.vit(volume)
    wanted = theirs(volume)
    found = ours(volume, (layers[3], layers[6], layers[9], last))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)

    wanted.square().sum().backward()
    found.square().sum().backward()
    for one, other in (
        (ours.out.weight, theirs.out.conv.conv.weight),
        (ours.stem.conv1.weight, theirs.encoder1.layer.conv1.conv.weight),
    ):
        torch.testing.assert_close(one.grad.flatten(), other.grad.flatten(), rtol=1e-3, atol=1e-2)


def test_on_patches_that_are_no_cubes_a_step_is_monai_s_transposed_convolution() -> None:
    from monai.networks.blocks.unetr_block import UnetrUpBlock

    torch.manual_seed(0)
    theirs = UnetrUpBlock(3, 6, 4, 3, (2, 2, 1), "instance", res_block=True)
    ours = Merge(Grown(6, 4, (2, 2, 1)), 4)
    ours.grow.weight.data = theirs.transp_conv.conv.weight.data
    carry_block(theirs.conv_block, ours.block)
    below, beside = torch.randn(2, 6, 3, 4, 5), torch.randn(2, 4, 6, 8, 5)
    torch.testing.assert_close(ours(below, beside), theirs(below, beside), rtol=1e-4, atol=1e-5)


def test_the_interpolated_step_is_that_of_the_public_code() -> None:
    torch.manual_seed(0)
    step = Interpolated(6, 4, (2, 2, 1))
    public = nn.Sequential(nn.Upsample(size=(6, 8, 5), mode="trilinear"), nn.Conv3d(6, 4, 3, padding=1))
    public[1].load_state_dict(step.conv.state_dict())
    below = torch.randn(2, 6, 3, 4, 5)
    torch.testing.assert_close(step(below), public(below), rtol=1e-5, atol=1e-6)


def test_a_single_convolution_can_stand_where_a_block_does() -> None:
    block = PlainBlock(1, 4)
    assert sum(p.numel() for p in block.parameters()) == 4 * 27
    assert block(torch.randn(2, 1, 3, 4, 5)).shape == (2, 4, 3, 4, 5)


def carry(theirs: nn.Module, ours: UnetrDecoder) -> None:
    """MONAI's decoder into ours."""
    carry_block(theirs.encoder1.layer, ours.stem)
    for lift, up in zip(ours.lifts, (theirs.encoder4, theirs.encoder3, theirs.encoder2), strict=True):
        assert isinstance(lift, Lift)
        lift.first.weight.data = up.transp_conv_init.conv.weight.data
        for block, other in zip(lift.blocks, up.blocks, strict=True):
            block[0].weight.data = other[0].conv.weight.data
            carry_block(other[1], block[1])
    decoders = theirs.decoder5, theirs.decoder4, theirs.decoder3, theirs.decoder2
    for merge, up in zip(ours.merges, decoders, strict=True):
        merge.grow.weight.data = up.transp_conv.conv.weight.data
        carry_block(up.conv_block, merge.block)
    ours.out.weight.data = theirs.out.conv.conv.weight.data.flatten(1)
    ours.out.bias.data = theirs.out.conv.conv.bias.data


def carry_block(theirs: nn.Module, ours: ResidualBlock) -> None:
    ours.conv1.weight.data, ours.conv2.weight.data = (
        theirs.conv1.conv.weight.data,
        theirs.conv2.conv.weight.data,
    )
    assert (ours.conv3 is not None) == hasattr(theirs, "conv3")
    if ours.conv3 is not None:
        ours.conv3.weight.data = theirs.conv3.conv.weight.data.flatten(1)
