"""Crops at twice the input's resolution: the input is every second voxel of them, as resampling would have made it.

Axes: x y z voxels of the input, i j k those of the finer crop.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from simcrop.data.preprocess import InputSpec, preprocess
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.collate import Collate
from simcrop.data.samples.dataset import Sample, StudyCrops
from simcrop.data.samples.fine import FineCrops
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.volume import Volume
from simcrop.engine.order import SampleDraw
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid

SPEC = InputSpec((14.0, 12.0, 24.0), (18, 20, 10))
EVERY = (slice(None), *(slice(None, None, 2),) * 3)
LEFT_RIGHT = {flip: seed for seed in range(9) for flip in [np.random.default_rng((seed, 1)).random() < 0.5]}


@pytest.fixture(scope="module")
def cohort(fine_cohort: Path) -> Cohort:
    return open_cohort(fine_cohort)


def crop(
    cohort: Cohort, seed: int, spec: InputSpec = SPEC, random: bool = True, flip: bool = False
) -> Sample:
    sample = FineCrops(cohort, spec, 2, random, flip)[SampleDraw(0, seed)]
    assert isinstance(sample, Sample)
    return sample


@pytest.mark.parametrize("shape", [(23, 31, 17), (24, 30, 18)], ids=["odd", "even"])
def test_resampling_to_twice_the_spacing_keeps_every_second_voxel(shape: tuple[int, int, int]) -> None:
    hu = np.random.default_rng(3).normal(-300, 400, shape).astype(np.float32)
    volume = Volume(hu, np.diag([-0.7, 0.8, 1.1, 1.0]))  # runs to the left
    coarse, fine = (InputSpec((2 * s, 2 * s, 2 * s), (6, 8, 6), (-3e4, 3e4)) for s in (0.55, 0.275))
    inputs, there = preprocess(volume, coarse)
    start = tuple(2 * n for n in there.start)
    whole, at = preprocess(volume, replace(fine, shape=(60, 90, 80)))
    piece = tuple(
        slice(s - a, s - a + 2 * n, 2) for s, a, n in zip(start, at.start, coarse.shape, strict=True)
    )
    assert_allclose(inputs[0] * 3e4, whole[0][piece] * 3e4, atol=0.02)


@pytest.mark.parametrize("seed", [0, 4])
@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize("centre", ["scan", "lungs"])
def test_the_input_is_every_second_voxel_and_that_of_a_cohort_of_its_own_spacing(
    cohort: Cohort, toy_cohort: Path, seed: int, random: bool, centre: str
) -> None:
    spec = replace(SPEC, centre=centre)
    own = open_cohort(toy_cohort)
    assert [-(-n // 2) for n in cohort[0].shape] == list(own[0].shape)  # so that both draw the same place
    ours, theirs = crop(cohort, seed, spec, random), StudyCrops(own, spec, random)[SampleDraw(0, seed)]
    assert ours.fine is not None
    assert ours.fine.shape == (1, 36, 40, 20)
    assert ours.fine.dtype == torch.int16
    assert torch.equal(ours.fine[EVERY], ours.volume)
    assert isinstance(theirs, Sample)
    assert_allclose(ours.volume, theirs.volume, atol=1)  # each rounded to whole HU
    assert (ours.id, ours.labels, ours.window_hu, ours.seed) == (
        theirs.id,
        theirs.labels,
        theirs.window_hu,
        theirs.seed,
    )


def test_each_fine_patch_shows_what_its_patch_of_the_input_shows_and_a_shifted_one_does_not(
    cohort: Cohort,
) -> None:
    grid = PatchGrid(SPEC.shape, (3, 4, 5))
    batch = Collate()([crop(cohort, 1), crop(cohort, 2)])
    assert isinstance(batch, Batch)
    arrived = batch.to(torch.device("cpu"))
    assert arrived.fine is not None
    assert arrived.fine.min() >= -1  # in the window, as the input is

    def apart(fine: torch.Tensor) -> float:
        """Mean distance of the mean of a fine patch from that of its patch of the input."""
        means = grid.finer(2).split(fine).mean(-1), grid.split(arrived.volume).mean(-1)
        return float((means[0] - means[1]).abs().mean())

    shifts = [arrived.fine.roll(2 * edge, axis) for axis, edge in enumerate(grid.patch, 2)]
    assert all(apart(arrived.fine) < 0.5 * apart(other) for other in shifts)
    for axis in (2, 3, 4):
        assert not torch.equal(arrived.fine.roll(1, axis)[..., ::2, ::2, ::2], arrived.volume)


@pytest.mark.parametrize("flip", [False, True])
def test_left_and_right_are_exchanged_in_both(cohort: Cohort, flip: bool) -> None:
    plain, turned = (crop(cohort, LEFT_RIGHT[flip], flip=flips) for flips in (False, True))
    assert turned.fine is not None
    assert plain.fine is not None
    assert torch.equal(turned.fine[EVERY], turned.volume)
    assert torch.equal(turned.volume, plain.volume.flip(1) if flip else plain.volume)
    if flip:  # one voxel further to the left, so that the input falls on the same voxels
        assert torch.equal(turned.fine[:, :-1], plain.fine.flip(1)[:, 1:])


def test_shifted_crops_and_padding_stay_in_step(cohort: Cohort) -> None:
    wide = replace(SPEC, shape=(30, 40, 20))  # beyond the scan
    crops = FineCrops(cohort, wide, 2, False, half=(3, 2, 5))
    for seed in range(4):
        sample = crops[SampleDraw(0, seed)]
        assert isinstance(sample, Sample)
        assert sample.fine is not None
        assert_array_equal(sample.fine[EVERY], sample.volume)
        assert (sample.fine == -1000).any()


def test_other_cohorts_and_averages_are_refused_in_one_line(cohort: Cohort, toy_cohort: Path) -> None:
    for studies, spec, message in (
        (open_cohort(toy_cohort), SPEC, r"stored at that spacing: ingest it with --spacing 7,6,12$"),
        (
            cohort,
            replace(SPEC, antialias=True),
            r"set it to false, with a cohort ingested without --antialias$",
        ),
    ):
        refused = FineCrops(studies, spec, 2, False)[SampleDraw(0, 0)]
        assert isinstance(refused, SimcropError)
        with pytest.raises(SimcropError, match=message):
            raise refused
