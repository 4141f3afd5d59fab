"""The stem of statistics: against a slow version, and that it sees what a linear map averages away.

Axes: b scan, n patch, p voxel. The grid has 2 x 4 x 3 patches of 3 x 5 x 7 voxels.
"""

import math

import pytest
import torch

from simcrop.errors import SimcropError
from simcrop.nn.masking import random_mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.stem import (
    CLIP_SIGMA,
    DENSITIES,
    MIN_SPREAD,
    STATISTICS,
    Pooled,
    StatisticsStem,
    statistics_of,
)
from simcrop.nn.vit import VisionSettings, ViT

GRID = PatchGrid(volume=(6, 20, 21), patch=(3, 5, 7))


def patches(scans: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(scans, GRID.count, GRID.voxels, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def learned(seed: int = 1, cells: tuple[int, int, int] = (1, 1, 1)) -> StatisticsStem:
    torch.manual_seed(seed)
    stem = StatisticsStem(GRID, 36, cells)
    seen = stem.measure(patches(20, seed=7))
    stem.learn(seen.mean(0), seen.std(0, correction=0))
    return stem


def encoder(*stem: str) -> ViT:
    torch.manual_seed(0)
    return ViT(VisionSettings(depth=2, dim=36, heads=3, stem=stem), GRID).eval()  # type: ignore[arg-type]


def test_any_number_of_threads_measures_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcrop.nn.stem.SOME", 4)
    stem, given, before = learned(), patches(5), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = stem.measure(given)
        torch.set_num_threads(3)
        assert torch.equal(stem.measure(given), alone)
    finally:
        torch.set_num_threads(before)
    assert len(alone.flatten(0, 2).unique(dim=0)) == 5 * GRID.count


def test_statistics_are_those_of_a_slow_version() -> None:
    given = patches()
    found = statistics_of(given)
    assert found.shape == (2, GRID.count, STATISTICS)
    for b, n in ((0, 0), (1, 17)):
        voxels = given[b, n].double().tolist()
        mean = sum(voxels) / len(voxels)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in voxels) / len(voxels))
        shares = [
            sum(DENSITIES[i] < v <= DENSITIES[i + 1] for v in voxels) / len(voxels)
            for i in range(len(DENSITIES) - 1)
        ]
        slow = [mean, deviation, max(voxels), min(voxels), *shares]
        assert found[b, n].tolist() == pytest.approx(slow, abs=1e-5)


def test_what_is_usual_at_its_place_is_no_distance_and_what_is_not_is_told_in_its_deviations() -> None:
    stem, given = learned(), patches(1)
    stem.mean.copy_(stem.measure(given)[0])
    stem.spread.fill_(0.1)
    taken: list[torch.Tensor] = []
    stem.hidden.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    stem(given)
    assert taken[0][..., STATISTICS:].abs().max() < 1e-4
    denser = given.clone()
    denser[0, 5, 0] = denser[0, 5].max() + 0.2  # one voxel of 105
    stem(denser)
    distance = taken[1][0, :, 0, STATISTICS:]
    assert distance[5, 2] == pytest.approx(2.0, rel=1e-3)  # the largest voxel, in deviations of its place
    assert distance[torch.arange(GRID.count) != 5].abs().max() < 1e-4
    assert stem(patches(1, seed=3) * 9).isfinite().all()
    assert taken[2][..., STATISTICS:].abs().max() <= CLIP_SIGMA


def test_places_where_nothing_varies_do_not_blow_up() -> None:
    stem = StatisticsStem(GRID, 36)
    stem.learn(torch.zeros(GRID.count, 1, STATISTICS), torch.zeros(GRID.count, 1, STATISTICS))
    assert torch.equal(stem.spread, torch.full_like(stem.spread, MIN_SPREAD))


def test_cells_are_boxes_of_a_patch() -> None:
    stem, given = learned(cells=(3, 1, 7)), patches(1)
    found = stem.measure(given)
    assert found.shape == (1, GRID.count, 21, STATISTICS)
    boxes = given[0, 4].reshape(3, 5, 7)
    for cell, (x, z) in ((0, (0, 0)), (9, (1, 2)), (20, (2, 6))):
        voxels = boxes[x, :, z]
        assert found[0, 4, cell, 2] == voxels.max()
        assert found[0, 4, cell, 0] == pytest.approx(float(voxels.mean()), abs=1e-6)


def test_cells_are_measured_alike_with_and_without_compiled_loops() -> None:
    """A tensor that wants a gradient goes through torch, box by box."""
    stem, given = learned(cells=(3, 5, 1)), patches()
    slow = stem.measure(given.clone().requires_grad_())
    assert slow.requires_grad
    torch.testing.assert_close(stem.measure(given), slow.detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("count", "dtype"), [(5, torch.float32), (5, torch.bfloat16), (300, torch.float32)])
def test_maximum_and_mean_have_the_values_and_gradients_of_torchs_own(count: int, dtype: torch.dtype) -> None:
    """Equal maxima, of which there are many here, share."""
    chance = torch.Generator().manual_seed(0)
    read = torch.randint(0, 3, (2, 7, count, 6), generator=chance).to(dtype).requires_grad_()
    grad = torch.randn(2, 7, 12, generator=chance).to(dtype)
    found = Pooled.apply(read)
    expected = torch.cat([read.amax(2), read.mean(2)], dim=-1)
    assert torch.equal(found, expected)
    (ours,) = torch.autograd.grad(found, read, grad)
    (theirs,) = torch.autograd.grad(expected, read, grad)
    torch.testing.assert_close(ours, theirs)


def test_a_patch_takes_the_maximum_and_the_mean_of_what_its_cells_say() -> None:
    stem, given = learned(cells=(1, 5, 1)), patches(1)
    measured = stem.measure(given)[0, 7].double()
    shift, scale = stem.mean.double().mean((0, 1)), stem.spread.double().square().mean((0, 1))
    scale = (scale + stem.mean.double().var((0, 1), correction=0)).sqrt()
    read = []
    for cell in range(5):
        unusual = (measured[cell] - stem.mean[7, cell]) / stem.spread[7, cell]
        plain = (measured[cell] - shift) / scale
        seen = torch.cat([plain, unusual.clamp(-CLIP_SIGMA, CLIP_SIGMA)]).float()
        read.append(torch.nn.functional.gelu(stem.hidden(seen)))
    both = torch.cat([torch.stack(read).amax(0), torch.stack(read).mean(0)])
    torch.testing.assert_close(stem(given)[0, 7], stem.out(both), atol=1e-5, rtol=1e-4)


def test_a_small_thing_stands_out_in_a_cell() -> None:
    """One cell of 35 a little denser: far from usual there, next to nothing in the patch's mean."""
    seen = patches(200, seed=9) * 0.1
    denser = seen[:1].clone()
    denser[0, 3].reshape(3, 5, 7)[1, 2] += 0.08
    distances = []
    for cells in ((1, 1, 1), (3, 5, 1)):
        stem = StatisticsStem(GRID, 36, cells)
        measured = stem.measure(seen)[..., 0]
        mean, deviation = measured.mean(0), measured.std(0)
        distances.append(float(((stem.measure(denser)[0, 3, :, 0] - mean[3]) / deviation[3]).abs().max()))
    assert distances[1] > 2 * distances[0]


def test_cells_that_do_not_divide_a_patch_are_refused() -> None:
    for cells in ((2, 1, 1), (1, 6, 1), (1, 1, 14)):
        with pytest.raises(SimcropError, match="equal cells"):
            StatisticsStem(GRID, 36, cells)


@pytest.mark.parametrize("cells", [(1, 1, 1), (3, 5, 1)])
def test_visible_patches_are_seen_as_among_all(cells: tuple[int, int, int]) -> None:
    stem, given = learned(cells=cells), patches()
    mask = random_mask(torch.rand(2, GRID.count, generator=torch.Generator().manual_seed(2)), 0.6)
    torch.testing.assert_close(stem(mask.take_visible(given), mask.keep), mask.take_visible(stem(given)))


@pytest.mark.parametrize(
    "stem", [("statistics",), ("statistics", "linear"), ("conv",), ("statistics", "conv")]
)
def test_masked_patches_stay_hidden(stem: tuple[str, ...]) -> None:
    vision, given = encoder(*stem), patches()
    mask = random_mask(torch.rand(2, GRID.count, generator=torch.Generator().manual_seed(2)), 0.6)
    other = torch.where(mask.masked[..., None], patches(seed=5), given)
    with torch.no_grad():
        assert torch.equal(vision.encode(given, mask).patches, vision.encode(other, mask).patches)


def test_a_sum_starts_as_the_statistics_alone_and_learns_both() -> None:
    vision, given = encoder("statistics", "linear"), patches()
    assert vision.statistics is not None
    assert vision.patch_embed is not None
    torch.testing.assert_close(vision.embed(given), vision.statistics(given))
    vision.embed(given).square().sum().backward()
    assert vision.patch_embed.weight.grad is not None
    assert vision.patch_embed.weight.grad.abs().max() > 0


def test_the_paper_has_the_linear_stem_alone() -> None:
    assert VisionSettings().stem == ("linear",)
    assert encoder("linear").statistics is None
    assert encoder("statistics").patch_embed is None


@pytest.mark.parametrize("stem", [(), ("linear", "linear"), ("wavelet",)])
def test_a_stem_that_is_none_is_refused(stem: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        VisionSettings(stem=stem)  # type: ignore[arg-type]


def test_weights_of_images_want_a_linear_stem(tmp_path) -> None:
    from simcrop.weights.mae import init_patch_embed_by_pca, load_mae

    with pytest.raises(SimcropError, match=r"vision\.stem"):
        load_mae(encoder("statistics"), tmp_path / "weights.safetensors", "mean_inflate")
    with pytest.raises(SimcropError, match=r"vision\.stem"):
        init_patch_embed_by_pca(encoder("statistics"), patches(1)[0])


def test_what_is_usual_belongs_to_one_grid_and_to_voxels() -> None:
    with pytest.raises(SimcropError, match="stem of statistics"):
        encoder("statistics").on_grid(PatchGrid(volume=(6, 20, 28), patch=(3, 5, 7)))
    with pytest.raises(ValueError, match="exclude one another"):
        VisionSettings(stem=("statistics",), atlas=True)
