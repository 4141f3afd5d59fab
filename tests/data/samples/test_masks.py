"""Label volumes cut as their scans are: each voxel takes the label at its centre, sides kept, 0 outside the scan."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.affines import apply_affine

from simcrop.data.ingest import ingest
from simcrop.data.preprocess import InputSpec
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.collate import Collate
from simcrop.data.samples.dataset import StudyCrops, cut_mask, placement_of
from simcrop.data.store.cohort import Study, open_cohort
from simcrop.engine.order import SampleDraw
from simcrop.errors import SimcropError

SHAPE = (29, 23, 17)
AFFINES = {
    "LPS": np.diag([-2.0, -2.5, 4.0, 1.0]),
    "PIR": np.array([[0, 0, 4.0, 5], [-2.0, 0, 0, 9], [0, -2.5, 0, -3], [0, 0, 0, 1]]),
}
SPEC = InputSpec((3.0, 4.0, 5.0), (24, 12, 16))


@pytest.fixture(params=AFFINES)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Study:
    """One scan as stored by some scanner, and a label volume of noise beside it."""
    rng, affine = np.random.default_rng(4), AFFINES[request.param]
    hu = np.full(SHAPE, -1000.0)
    hu[4:-4, 4:-4, 2:-2] = 40
    hu[7:12, 7:-7, 3:-3] = -850
    (tmp_path / "raw").mkdir()
    nib.save(
        nib.Nifti1Image((hu + rng.normal(0, 15, SHAPE)).astype(np.int16), affine), tmp_path / "raw/ct.nii.gz"
    )
    nib.save(nib.Nifti1Image(rng.integers(0, 7, SHAPE, np.uint8), affine), tmp_path / "mask.nii.gz")
    ingest(tmp_path / "raw", "folder", tmp_path / "cohort", SPEC.spacing_mm)
    return replace(open_cohort(tmp_path / "cohort")[0], mask_path=tmp_path / "mask.nii.gz")


def slow_cut(study: Study, seed: int | None) -> np.ndarray:
    """Voxel by voxel through millimetres."""
    random = None if seed is None else np.random.default_rng(seed)
    placement = placement_of(study, SPEC, random)
    labels = np.asarray(nib.load(study.mask_path).dataobj)
    out = np.zeros(SPEC.shape, int)
    to_source = np.linalg.inv(study.source_affine)
    for index in np.ndindex(*SPEC.shape):
        source = np.floor(apply_affine(to_source, apply_affine(placement.affine, index)) + 0.5 + 1e-6).astype(
            int
        )
        if (source >= 0).all() and (source < labels.shape).all():
            out[index] = labels[tuple(source)]
    return out


@pytest.mark.parametrize("seed", [None, 3])
def test_labels_are_those_at_the_centres_of_voxels(study: Study, seed: int | None) -> None:
    random = None if seed is None else np.random.default_rng(seed)
    found = cut_mask(study, SPEC, random)
    assert found is not None
    np.testing.assert_array_equal(found, slow_cut(study, seed))
    assert not np.array_equal(found[::-1], slow_cut(study, seed))


def test_the_mask_lies_where_the_scan_was_cut_and_flips_with_it(study: Study) -> None:
    plain = StudyCrops([study], SPEC, random_crop=True, masks=True)
    flipped = StudyCrops([study], SPEC, random_crop=True, flip_lr=True, masks=True)
    for seed in range(8):
        one, other = plain[SampleDraw(0, seed)], flipped[SampleDraw(0, seed)]
        turned = not one.volume.equal(other.volume)
        np.testing.assert_array_equal(one.mask[0], slow_cut(study, seed))
        assert other.mask.equal(one.mask.flip(1) if turned else one.mask)
    assert StudyCrops([study], SPEC, random_crop=True)[SampleDraw(0, 0)].mask is None


def test_a_mask_of_another_grid_is_refused_and_none_is_none(study: Study) -> None:
    assert cut_mask(replace(study, mask_path=None), SPEC, None) is None
    other = study.mask_path.with_name("other.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.eye(4)), other)
    with pytest.raises(SimcropError, match="cannot lie on a scan"):
        cut_mask(replace(study, mask_path=other), SPEC, None)


def test_labels_travel_small_and_arrive_as_a_method_reads_them(study: Study) -> None:
    one = StudyCrops([study], SPEC, random_crop=False, masks=True)[SampleDraw(0, 0)]
    none = StudyCrops([replace(study, mask_path=None)], SPEC, random_crop=False, masks=True)[SampleDraw(0, 0)]
    batch = Collate(masks=True)([one, none])
    assert isinstance(batch, Batch)
    assert batch.mask is not None
    assert batch.mask.dtype == torch.int16
    arrived = batch.to(torch.device("cpu")).mask
    assert arrived is not None
    assert arrived.dtype == torch.long
    np.testing.assert_array_equal(arrived[0, 0], slow_cut(study, None))
    assert not arrived[1].any()


@pytest.mark.parametrize("label", [0.5, 40_000, -40_000])
def test_labels_that_are_no_small_whole_numbers_are_refused(study: Study, label: float) -> None:
    odd = study.mask_path.with_name("odd.nii.gz")
    nib.save(nib.Nifti1Image(np.full(SHAPE, label, np.float32), AFFINES["LPS"]), odd)
    with pytest.raises(SimcropError, match="whole numbers below 32768"):
        cut_mask(replace(study, mask_path=odd), SPEC, None)
