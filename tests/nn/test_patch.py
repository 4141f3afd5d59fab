"""The patch grid: cut and joined again, on sizes that differ along every axis."""

import pytest
import torch

from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid, in_body

GRID = PatchGrid(volume=(6, 20, 21), patch=(3, 5, 7))


def test_join_undoes_split_and_split_undoes_join() -> None:
    volume = torch.randn(2, 1, 6, 20, 21)
    patches = GRID.split(volume)
    assert patches.shape == (2, GRID.count, GRID.voxels) == (2, 2 * 4 * 3, 105)
    assert torch.equal(GRID.join(patches), volume)
    assert torch.equal(GRID.split(GRID.join(patches)), patches)


def test_patch_number_and_grid_coordinates_name_the_same_box() -> None:
    volume = torch.randn(1, 1, 6, 20, 21)
    patches = GRID.split(volume)[0]
    for n in range(GRID.count):
        x, y, z = GRID.index(n)
        box = volume[0, 0, 3 * x : 3 * x + 3, 5 * y : 5 * y + 5, 7 * z : 7 * z + 7]
        assert torch.equal(patches[n], box.flatten())


def test_paper_grid_has_2744_patches_of_2048_voxels() -> None:
    grid = PatchGrid((224, 224, 112), (16, 16, 8))
    assert (grid.shape, grid.count, grid.voxels) == ((14, 14, 14), 2744, 2048)


@pytest.mark.parametrize(
    ("volume", "patch"), [((6, 20, 22), (3, 5, 7)), ((0, 4, 4), (2, 2, 2)), ((4, 4, 4), (2, 2, 0))]
)
def test_grid_that_does_not_fit_is_refused_with_both_sizes(
    volume: tuple[int, int, int], patch: tuple[int, int, int]
) -> None:
    with pytest.raises(SimcropError) as refused:
        PatchGrid(volume, patch)
    assert str(volume) in refused.value.sentence
    assert str(patch) in refused.value.sentence


def test_patches_of_air_are_outside_the_body() -> None:
    volume = torch.full((1, 1, 6, 20, 21), -1.0)
    volume[..., 3:, 5:10, 7:14] = 0.0
    inside = in_body(GRID.split(volume))[0].nonzero().flatten().tolist()
    assert [GRID.index(n) for n in inside] == [(1, 1, 1)]
