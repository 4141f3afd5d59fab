"""A scan larger than the input, looked at in inputs that overlap; how many patches a stated size can fill.

Axes: s sentence, x y z voxels or cells (RAS+), e features. Lengths in voxels of the model's spacing.
"""

from dataclasses import dataclass, field
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from simcrop.data.preprocess import InputSpec
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.model.heat import box_counts, filled, looks_along
from simcrop.model.looks import cells_of, covering
from simcrop.model.whole import WholeScan, look_at_whole
from simcrop.nn.patch import PatchGrid

GRID = PatchGrid((12, 8, 6), (4, 4, 2))
SPEC = InputSpec((2.0, 2.5, 4.0), GRID.volume)
BRIGHT = (30, 5, 11)


@dataclass
class Brightest:
    """Stands for a model: of each patch its mean, and its mean again with the sign changed; every text asks for one."""

    grid: PatchGrid = GRID
    top_k: int = 4
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def regions_of(self, volumes: Tensor) -> Tensor:
        self.seen.append(tuple(volumes.shape))
        mean = self.grid.split(volumes).mean(-1, keepdim=True)
        return torch.cat([mean, -mean], dim=-1)

    def encode(self, sentences: Any) -> Tensor:
        return torch.eye(2)[[int(sentence.startswith("dark")) for sentence in sentences]]

    skips_attention, label_names = False, ()
    features_of = projected = scores_of = regions_of


def scan(shape: tuple[int, int, int], bright: tuple[int, int, int] = BRIGHT) -> Volume:
    hu = np.full(shape, -1000, np.float32)
    hu[bright] = 1000
    return Volume(hu, nib.affines.from_matvec(np.diag([2.0, 2.5, 4.0]), [-30, 11, 5]))


@pytest.fixture
def model() -> Brightest:
    return Brightest()


def middle(volume: Volume, voxel: tuple[int, ...]) -> np.ndarray:
    return volume.affine[:3, :3] @ voxel + volume.affine[:3, 3]


@pytest.mark.parametrize("bright", [BRIGHT, (0, 0, 0), (36, 20, 18), (19, 9, 0)])
@pytest.mark.parametrize("fine", [1, 8])
def test_what_lies_beyond_the_input_is_found_where_it_is(
    model: Brightest, bright: tuple[int, int, int], fine: int
) -> None:
    volume = scan((37, 21, 19), bright)
    (heat,) = look_at_whole(model, volume, SPEC).ground(["bright"], fine=fine)
    assert heat.map.shape == volume.shape
    assert np.isfinite(heat.map).all()
    assert heat.map[bright] == heat.map.max()
    low, high = heat.boxes_mm[0]
    at = middle(volume, bright)
    assert (low - 1e-3 <= at).all()
    assert (at <= high + 1e-3).all()
    size = np.array([4, 4, 2]) * [2, 2.5, 4] / (1 if fine == 1 else 2)
    np.testing.assert_allclose(high - low, size)


def test_no_more_than_one_input_is_in_memory_however_large_the_scan(model: Brightest) -> None:
    look_at_whole(model, scan((37, 21, 19)), SPEC).ground(["bright", "dark"])
    few = len(model.seen)
    look_at_whole(model, scan((37, 21, 76)), SPEC).ground(["bright"])
    assert set(model.seen) == {(1, 1, *GRID.volume)}
    assert few < len(model.seen) - few < 6 * few


def test_a_scan_that_the_input_holds_is_looked_at_once(model: Brightest) -> None:
    volume = scan((9, 8, 5), (2, 3, 4))
    (heat,) = look_at_whole(model, volume, SPEC).ground(["bright"])
    assert len(model.seen) == 1
    assert heat.patches.shape == GRID.shape


def test_the_mean_is_that_of_every_input_that_holds_the_patch(model: Brightest) -> None:
    """Against a slow loop: all inputs, one by one, in a model whose answer depends on where a patch lies in it."""
    place = torch.arange(GRID.count, dtype=torch.float32)[None, :, None]
    model.regions_of = lambda volumes: torch.cat([GRID.split(volumes).mean(-1, keepdim=True) + place] * 2, -1)
    seen = look_at_whole(model, scan((30, 8, 6), (27, 5, 3)), SPEC)
    placement, whole = covering(seen.placement, GRID)
    values = seen.look_for(["bright"]).values.reshape(whole.shape)
    held: dict[tuple[int, ...], list[float]] = {}
    for first in range(7):  # inputs of three patches begin at every one, since half of three is one
        start = placement.start[0] + first * 4
        box = np.full(GRID.volume, -1, np.float32)
        for x in range(12):
            if 0 <= start + x < 30:
                box[x] = np.clip(seen.resampled.hu[start + x] / 1000, -1, 1)
        mean = GRID.split(torch.from_numpy(box)[None, None]).mean(-1)[0] + place[0, :, 0]
        for n, value in enumerate(mean.tolist()):
            x, y, z = GRID.index(n)
            held.setdefault((first + x, y, z), []).append(value)
    assert whole.shape == (9, 2, 3)
    for at, found in held.items():
        assert values[at] == pytest.approx(np.mean(found), abs=1e-4), at


def test_patches_of_the_input_lie_where_they_did(model: Brightest) -> None:
    whole = look_at_whole(model, scan((37, 21, 19)), SPEC)
    placement, grid = covering(whole.placement, GRID)
    shift = [(a - b) / p for a, b, p in zip(whole.placement.start, placement.start, GRID.patch, strict=True)]
    assert all(n == int(n) >= 0 for n in shift)
    first = tuple(map(int, shift))
    np.testing.assert_allclose(
        placement.box_mm(first, GRID.patch), whole.placement.box_mm((0, 0, 0), GRID.patch)
    )
    ends = [s + n for s, n in zip(placement.start, grid.volume, strict=True)]
    assert all(s <= 0 and end >= n for s, end, n in zip(placement.start, ends, (37, 21, 19), strict=True))


def test_a_size_that_the_sentence_states_bounds_how_many_patches_are_boxed(model: Brightest) -> None:
    seen: WholeScan = look_at_whole(model, scan((37, 21, 19)), SPEC)
    asked = ["bright, 6 mm.", "dark, 9 mm", "dark.", "bright, 9 x 30 cm"]
    assert [len(heat.boxes_mm) for heat in seen.ground(asked, "auto")] == [1, 4, 4, 4]
    assert [len(heat.boxes_mm) for heat in seen.ground(asked, "auto", fine=8)] == [8, 18, 32, 32]
    assert [len(heat.boxes_mm) for heat in seen.ground(asked, 2)] == [2, 2, 2, 2]
    # Patches are 8 x 10 x 8 mm: 9 mm fill 2 x 1 x 2 of them, and 3 x 2 x 3 halves of which it may be no more than 32.
    assert box_counts(asked, "auto", 40, cells_of(GRID, 2), seen.placement, 8) == (
        2 * 2 * 2,
        3 * 2 * 3,
        320,
        320,
    )
    assert filled(24.0, (23.9999999, 24.0, 24.0), 9) == 1


@pytest.mark.parametrize("fine", [0, 2, 9, -8])
def test_another_number_of_looks_is_refused(fine: int) -> None:
    with pytest.raises(SimcropError, match="1, 8 or 64"):
        looks_along(fine, (4, 4, 4))


def test_patches_that_cannot_be_cut_are_refused_with_their_size() -> None:
    with pytest.raises(SimcropError, match="6 x 4 x 5"):
        looks_along(8, (6, 4, 5))
    assert looks_along(64, (16, 16, 8)) == 4
