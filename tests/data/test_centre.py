"""Lungs are found wherever they lie, and the input is cut around them alike for training, evaluation and a new scan.

Axes: x right, y front, z up; phantoms and real scans.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.affines import apply_affine

from simcrop.data.centre import coarse, lung_centre
from simcrop.data.ingest import ingest
from simcrop.data.preprocess import InputSpec, centred_start, crop_or_pad, preprocess, start_in
from simcrop.data.readers import read_volume
from simcrop.data.resampling.plan import resample
from simcrop.data.samples.dataset import cut, placement_of
from simcrop.data.store.cohort import open_cohort
from simcrop.phantom import write_ct_rate

SPACING = (5.5, 5.5, 10.0)
SPEC = InputSpec(SPACING, (48, 40, 24), centre="lungs")


def chest() -> np.ndarray:
    """A block of tissue in air with two lungs of 2 litres, gas in the bowel, and a pocket of air outside."""
    hu = np.full((64, 60, 40), -1000, np.int16)
    hu[8:56, 10:50] = 40
    hu[12:30, 14:40, 12:32] = -850
    hu[34:52, 14:40, 12:32] = -850
    hu[28:34, 30:34, 3:7] = -900
    return hu


def test_the_middle_of_both_lungs_is_found_without_the_bowel_and_the_room() -> None:
    found = lung_centre(chest(), SPACING)
    assert found is not None
    np.testing.assert_allclose(found, [31.5, 26.5, 21.5], atol=1)


def test_lungs_that_are_open_to_slices_of_padding_are_found() -> None:
    hu = chest()
    hu[31:33, 30:32, 3:] = -950  # a windpipe, through the last slice of the body
    hu[30:34, 28:34, 22:26] = -950  # into both lungs
    padded = np.concatenate([hu, np.full((64, 60, 6), -1000, np.int16)], axis=2)
    found = lung_centre(padded, SPACING)
    assert found is not None
    np.testing.assert_allclose(found, [31.5, 26.5, 21.5], atol=1)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_coarse_scan_is_the_mean_of_whole_blocks(dtype: type) -> None:
    hu = np.random.default_rng(0).integers(-1024, 3071, (11, 9, 8)).astype(dtype)
    found = coarse(hu, [3, 2, 4])
    blocks = hu[:9, :8].astype(float).reshape(3, 3, 4, 2, 2, 4)
    np.testing.assert_allclose(found, blocks.mean((1, 3, 5)), rtol=1e-6)
    assert found.dtype == np.float32
    assert np.array_equal(coarse(hu, [1, 1, 1]), hu)


def test_scans_without_two_whole_lungs_have_no_such_middle() -> None:
    assert lung_centre(np.full((64, 60, 40), 40, np.int16), SPACING) is None
    assert lung_centre(chest()[20:44], SPACING) is None  # cut through at both sides
    assert lung_centre(chest()[:, :, :10], SPACING) is None  # the belly alone
    assert lung_centre(chest()[:1], (1.0, 1.0, 1.0)) is None
    for hu in (chest()[20:44], np.full((64, 60, 40), 40, np.int16)):
        assert start_in(hu, SPEC) == centred_start(hu.shape, SPEC.shape)


@pytest.mark.parametrize("shift_mm", [30.0, -30.0])
def test_a_patient_who_lies_30_mm_aside_is_cut_alike(shift_mm: float) -> None:
    hu = chest()
    moved = tuple(round(shift_mm / mm) for mm in SPACING)
    aside = crop_or_pad(hu, moved, hu.shape)
    first, second = (crop_or_pad(scan, start_in(scan, SPEC), SPEC.shape) for scan in (hu, aside))
    assert np.mean(first != second) < 0.02  # what was moved out of the scan is lost
    middle = replace(SPEC, centre="scan")
    first, second = (crop_or_pad(scan, start_in(scan, middle), SPEC.shape) for scan in (hu, aside))
    assert np.mean(first != second) > 0.2


def test_training_evaluation_and_a_new_scan_cut_at_the_same_place(tmp_path: Path) -> None:
    write_ct_rate(tmp_path / "raw", patients=2, seed=3, size="tiny")
    ingest(tmp_path / "raw", "ct-rate", tmp_path / "cohort", SPACING)
    study = open_cohort(tmp_path / "cohort")[0]
    seen, placement = preprocess(read_volume(study.source_path), SPEC)
    start = placement.start
    assert start != centred_start(study.shape, SPEC.shape)
    assert placement_of(study, SPEC).start == start
    torch.testing.assert_close(torch.from_numpy(cut(study, SPEC, None))[None], seen, atol=1e-3, rtol=0)
    for spacing, antialias in product([(6.0, 6.0, 9.0), (9.0, 9.0, 16.0)], [False, True]):
        other = replace(SPEC, spacing_mm=spacing, antialias=antialias)  # resampled on the way
        for study in open_cohort(tmp_path / "cohort"):
            again, placed = preprocess(study.volume(), other)
            torch.testing.assert_close(torch.from_numpy(cut(study, other, None))[None], again)
            assert placement_of(study, other).start == placed.start


def test_lungs_of_real_scans_are_found(real_data: Path) -> None:
    """LIDC has a mask of the lobes that somebody else made: both middles must agree."""
    folder = real_data / "ct" / "lidc_idri_0001"
    scan = read_volume(folder / "cxr.nii.gz")
    mask = nib.load(folder / "mask.nii.gz")
    resampled = resample(scan, (2.75, 2.75, 5.0))
    found = lung_centre(resampled.hu, (2.75, 2.75, 5.0))
    lobes = np.isin(np.asarray(mask.dataobj), (10, 11, 12, 13, 14))
    at = apply_affine(mask.affine, np.argwhere(lobes))
    assert found is not None
    np.testing.assert_allclose(apply_affine(resampled.affine, found), (at.min(0) + at.max(0)) / 2, atol=8)
