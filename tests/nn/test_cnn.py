"""The encoder of convolutions: one feature per patch, in the patch's own place, and what it cannot do is refused."""

import pytest
import torch

from simcrop.errors import SimcropError
from simcrop.nn.cnn import CnnSettings, halvings
from simcrop.nn.masking import random_mask
from simcrop.nn.patch import PatchGrid

GRID = PatchGrid((32, 16, 16), (8, 8, 4))


def test_patches_are_halved_until_one_voxel_is_left() -> None:
    assert halvings((16, 16, 8)) == [(2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 1)]
    assert halvings((8, 8, 4)) == [(2, 2, 2), (2, 2, 2), (2, 2, 1)]
    with pytest.raises(SimcropError, match=r"\(12, 16, 8\) voxels cannot be halved"):
        halvings((12, 16, 8))


def test_a_feature_tells_of_its_own_place() -> None:
    """A bright patch changes the features there most, and hardly any far away."""
    torch.manual_seed(0)
    cnn = CnnSettings(dim=16).build(GRID).eval()
    cnn.stages[0].norms = cnn.stages[1].norms = cnn.stages[2].norms = torch.nn.ModuleList(
        torch.nn.Identity() for _ in range(2)
    )
    dark = torch.zeros(1, 1, 32, 16, 16)
    bright = dark.clone()
    bright[0, 0, :8, :8, :4] = 1
    seen = [cnn(volume).patches.reshape(4, 2, 4, 16) for volume in (dark, bright)]
    changed = (seen[1] - seen[0]).abs().amax(-1)
    assert changed[0, 0, 0] == changed.max()
    assert changed[3].max() < changed[0, 0, 0] / 20
    assert changed[:, :, 3].max() < changed[0, 0, 0] / 5


@pytest.mark.parametrize("dim", [16, 20, 36])
def test_every_width_is_kept_and_every_parameter_learns(dim: int) -> None:
    cnn = CnnSettings(dim=dim).build(GRID)
    found = cnn(torch.rand(2, 1, 32, 16, 16))
    assert found.patches.shape == (2, GRID.count, cnn.width)
    found.patches.square().mean().backward()
    assert all(parameter.grad is not None for parameter in cnn.parameters())


def test_patches_cannot_be_hidden_nor_left_alone_nor_tapped() -> None:
    cnn, volume = CnnSettings(dim=16).build(GRID), torch.rand(1, 1, 32, 16, 16)
    mask = random_mask(
        torch.rand(1, GRID.count, generator=torch.Generator().manual_seed(0)).to(volume.device), 0.5
    )
    for asked in ({"mask": mask}, {"skip_attention": True}):
        with pytest.raises(SimcropError, match="cannot hide"):
            cnn(volume, **asked)
    with pytest.raises(SimcropError, match="grids of their own"):
        cnn(volume, taps=(1,))
