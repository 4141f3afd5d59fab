"""A segmenter marks every voxel of the file's own grid, whichever way its axes run, and says what it cannot do.

Axes: x y z voxels; RAS+ mm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

import simcrop
from simcrop.data.resampling.plan import resample
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

SPACING, SHAPE = (7.0, 6.0, 9.0), (13, 17, 11)
Rule = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def chest() -> Volume:
    """Air on one side, lung, tissue; whole HU, hardly two neighbours of a class."""
    random = np.random.default_rng(5)
    hu = np.choose(random.choice(3, SHAPE), [-1000, -750, 40]) + random.integers(-30, 30, SHAPE)
    hu[:2], hu[:, -3:] = -1000, -980
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-40.0, 12.0, -200.0)
    return Volume(hu.astype(np.float32), affine)


def turned(volume: Volume, codes: str) -> Volume:
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    return Volume(apply_orientation(volume.hu, turn), volume.affine @ inv_ornt_aff(turn, volume.shape))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIL", "SAR", "IRP"])
def test_each_voxel_is_marked_where_it_lies_however_the_axes_run(
    segmenter_folder: Path, ruled: Rule, chest: Volume, codes: str
) -> None:
    volume = turned(chest, codes)
    told: list[tuple[int, int]] = []
    made = simcrop.load_segmenter(segmenter_folder, "cpu").predict(volume, lambda *at: told.append(at))
    np.testing.assert_array_equal(made.labels, ruled(volume.hu))
    assert made.labels.dtype == np.int16
    np.testing.assert_array_equal(made.affine, volume.affine)
    assert told[-1][0] == told[-1][1] > 1
    voxel_ml = 7 * 6 * 9 / 1000
    counts = {name: int((ruled(volume.hu) == i).sum()) for i, name in enumerate(made.names, start=1)}
    assert made.names == ("left lung", "liver")
    assert made.volumes_ml == pytest.approx({name: n * voxel_ml for name, n in counts.items()})


def test_another_spacing_is_marked_to_half_a_voxel_of_the_model(segmenter_folder: Path, ruled: Rule) -> None:
    """A block of lung in tissue on a finer grid that leans by nothing: its edges come back where they were."""
    hu = np.full((60, 60, 50), 40.0, np.float32)
    hu[17:42, 9:33, 11:39] = -800
    volume = Volume(hu, np.diag([-2.0, -2.0, 2.5, 1.0]))
    labels = simcrop.load_segmenter(segmenter_folder, "cpu").predict(volume).labels
    off = np.argwhere(labels == 1) * (2.0, 2.0, 2.5)
    low, high = np.array([17 * 2.0, 9 * 2.0, 11 * 2.5]), np.array([41 * 2.0, 32 * 2.0, 38 * 2.5])
    assert (np.abs(off.min(0) - low) <= SPACING).all()
    assert (np.abs(off.max(0) - high) <= SPACING).all()
    assert ruled(hu)[30, 20, 20] == labels[30, 20, 20] == 1


@dataclass(frozen=True)
class Stored:
    """As a cohort has it."""

    hu: np.ndarray
    affine: np.ndarray
    source_shape: tuple[int, int, int]
    source_affine: np.ndarray

    def read(self) -> np.ndarray:
        return self.hu


def test_a_study_of_a_cohort_gets_the_labels_of_its_file(segmenter_folder: Path, chest: Volume) -> None:
    """With the network's own random weights: what a cohort keeps rounded to whole HU says the same."""
    segmenter = simcrop.load_segmenter(segmenter_folder, "cpu")
    volume = turned(chest, "LPS")
    stored = resample(volume, SPACING)
    study = Stored(stored.hu.round().astype(np.int16), stored.affine, volume.shape, volume.affine)
    labels = segmenter.labels_of(study)
    np.testing.assert_array_equal(labels, segmenter.predict(volume).labels)
    assert labels.any()
    other = Stored(study.hu, np.diag([7.0, 6.0, 8.0, 1.0]), volume.shape, volume.affine)
    with pytest.raises(SimcropError, match=r"7 x 6 x 8 mm apart, the model sees 7 x 6 x 9 mm") as caught:
        segmenter.labels_of(other)
    assert caught.value.reason == "other-preprocessing"


def test_a_path_serves_as_well_as_a_volume(
    segmenter_folder: Path, chest: Volume, save: Callable, tmp_path: Path
) -> None:
    path = save(tmp_path / "ct.nii.gz", chest.hu, chest.affine)
    segmenter = simcrop.load_segmenter(segmenter_folder, "cpu")
    np.testing.assert_array_equal(
        segmenter.predict(path).labels, segmenter.predict(simcrop.read_volume(path)).labels
    )
    with pytest.raises(SimcropError, match="nowhere"):
        segmenter.predict(tmp_path / "nowhere.nii.gz")


def test_nothing_but_air_is_nothing_marked(segmenter_folder: Path) -> None:
    made = simcrop.load_segmenter(segmenter_folder, "cpu").predict(
        Volume(np.full((20, 21, 22), -1000, np.float32), np.diag([3.0, 3, 3, 1]))
    )
    assert not made.labels.any()
    assert made.volumes_ml == {"left lung": 0.0, "liver": 0.0}


def test_it_computes_what_was_trained(segmenter_folder: Path) -> None:
    """One window that is the whole scan: the logits of the objective itself."""
    from simcrop.config import Recipe
    from simcrop.objectives.segment import Segment, logits_of

    segmenter = simcrop.load_segmenter(segmenter_folder, "cpu")
    recipe: Recipe = segmenter.recipe
    trained = Segment(recipe, recipe.input.grid).eval()  # pyright: ignore[reportArgumentType]
    trained.load_state_dict(segmenter.state_dict())
    window = torch.rand(1, 1, 8, 12, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected = logits_of(trained.vision, trained.decoder, window, trained.taps)
        torch.testing.assert_close(segmenter.logits(window), expected)


def test_a_model_without_masks_is_refused_in_one_line(headless_folder: Path) -> None:
    with pytest.raises(SimcropError, match="marks no organs") as caught:
        simcrop.load_segmenter(headless_folder)
    assert caught.value.reason == "no-segmentation"


def test_whoever_asks_it_for_features_is_told_what_it_is_for(segmenter_folder: Path) -> None:
    with pytest.raises(
        SimcropError, match=r"segment model, which marks left lung .* simcrop\.load_segmenter"
    ):
        simcrop.load(segmenter_folder)
