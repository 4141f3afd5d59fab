"""Label volumes cut as their scans are: each voxel takes the label at its centre, sides kept, 0 outside the scan."""

from collections.abc import Callable
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

SHAPE = (29, 23, 17)
AFFINES = {
    "LPS": np.diag([-2.0, -2.5, 4.0, 1.0]),
    "PIR": np.array([[0, 0, 4.0, 5], [-2.0, 0, 0, 9], [0, -2.5, 0, -3], [0, 0, 0, 1]]),
}
SPEC = InputSpec((3.0, 4.0, 5.0), (24, 12, 16))


@pytest.fixture(params=AFFINES)
def study(request: pytest.FixtureRequest, tmp_path: Path, mark: Callable) -> Study:
    """One scan as stored by some scanner, and a label volume of noise beside it."""
    rng, affine = np.random.default_rng(4), AFFINES[request.param]
    hu = np.full(SHAPE, -1000.0)
    hu[4:-4, 4:-4, 2:-2] = 40
    hu[7:12, 7:-7, 3:-3] = -850
    (tmp_path / "raw").mkdir()
    labels = rng.integers(0, 7, SHAPE, np.uint8)
    nib.save(
        nib.Nifti1Image((hu + rng.normal(0, 15, SHAPE)).astype(np.int16), affine), tmp_path / "raw/ct.nii.gz"
    )
    ingest(tmp_path / "raw", "folder", tmp_path / "cohort", SPEC.spacing_mm)
    mark(tmp_path / "cohort", {"ct": labels}, {n: f"class {n}" for n in range(1, 7)})
    return open_cohort(tmp_path / "cohort")[0]


def slow_cut(study: Study, seed: int | None, spec: InputSpec = SPEC) -> np.ndarray:
    """Voxel by voxel through millimetres."""
    random = None if seed is None else np.random.default_rng(seed)
    placement = placement_of(study, spec, random)
    labels = study.source_mask()
    out = np.zeros(spec.shape, int)
    to_source = np.linalg.inv(study.source_affine)
    for index in np.ndindex(*spec.shape):
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


def test_at_another_spacing_than_the_stored_one_labels_come_from_the_grid_in_the_file(study: Study) -> None:
    spec = InputSpec((2.0, 5.0, 4.0), (20, 10, 16))
    np.testing.assert_array_equal(cut_mask(study, spec, None), slow_cut(study, None, spec))
    assert cut_mask(replace(study, mask_checksum=None), spec, None) is None


def test_labels_travel_small_and_arrive_as_a_method_reads_them(study: Study) -> None:
    one = StudyCrops([study], SPEC, random_crop=False, masks=True)[SampleDraw(0, 0)]
    none = StudyCrops([replace(study, mask_checksum=None)], SPEC, random_crop=False, masks=True)[
        SampleDraw(0, 0)
    ]
    batch = Collate(masks=True)([one, none])
    assert isinstance(batch, Batch)
    assert batch.mask is not None
    assert batch.mask.dtype == torch.int16
    arrived = batch.to(torch.device("cpu")).mask
    assert arrived is not None
    assert arrived.dtype == torch.long
    np.testing.assert_array_equal(arrived[0, 0], slow_cut(study, None))
    assert not arrived[1].any()
