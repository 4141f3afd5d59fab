"""Findings in scans that are not the phantom's own: where they lie, how dense they are, and that nothing else changes.

Axes: `(x, y, z)` as stored; places are RAS+ mm of the affine, so the patient's left has the smaller x.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.ndimage import binary_erosion, distance_transform_edt

from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError
from simcrop.phantom.anatomy.body import Side
from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.findings.places import SIDES
from simcrop.phantom.grid import Frame
from simcrop.phantom.patient import draw_patient
from simcrop.phantom.real.background import Altered, Job, altered, upright
from simcrop.phantom.real.lungs import RealLungs, find_lungs

LIDC = "lidc_idri_0001/cxr.nii.gz"
LUNG1 = "nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz"


def job(path: Path, number: int) -> Job:
    return Job(Path("nowhere"), path, number, 1, 1, 7, "real")


def read_mask(path: Path) -> np.ndarray:
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    return np.asanyarray(image.dataobj)


def inner(scan: Altered, value: int, voxels: int) -> np.ndarray:
    mask, inside = scan.mask == value, np.zeros(scan.mask.shape, bool)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]  # what lies without is none of it
    inside[box] = binary_erosion(mask[box], iterations=voxels)
    return inside


def findings_of(scan: Altered) -> list[Finding]:
    return [sentence.finding for sentence in scan.report.sentences if sentence.finding is not None]


@cache
def real(path: Path, number: int) -> Altered:
    return altered(job(path, number))


def centre_of(scan: Altered, value: int) -> np.ndarray:
    """Mean place in mm of one finding."""
    return apply_affine(scan.affine, np.argwhere(scan.mask == value)).mean(0)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "ASL"])
def test_findings_lie_on_the_side_that_the_affine_says_in_any_order_of_axes(
    write_chest: Callable, tmp_path: Path, codes: str
) -> None:
    path = write_chest(tmp_path / "ct.nii.gz", codes=codes)
    volume, sides = read_volume(path), set()
    for number in range(1, 5):
        scan = altered(job(path, number))
        assert scan.mask.shape == scan.hu.shape == volume.shape
        np.testing.assert_array_equal(scan.affine, volume.affine)
        centre_x = apply_affine(volume.affine, np.argwhere(volume.hu > -200)).mean(0)[0]
        for finding in findings_of(scan):
            x = centre_of(scan, finding.mask_value)[0] - centre_x
            if finding.side != "both":
                assert x < -15 if finding.side == "left" else x > 15, (finding.kind, finding.side, x)
                sides.add(finding.side)
    assert sides == {"left", "right"}


def test_what_no_finding_covers_keeps_every_bit(chest: Path) -> None:
    before, scan = read_volume(chest), altered(job(chest, 2))
    changed = scan.hu != before.hu
    assert 0 < changed.mean() < 0.1
    assert (scan.mask[changed] > 0).mean() > 0.25  # the rest are soft borders
    assert np.asarray(distance_transform_edt(scan.mask == 0, before.spacing_mm))[changed].max() < 16


def test_each_finding_is_as_dense_as_its_truth_says(chest: Path) -> None:
    seen = set()
    for number in (3, 4, 6, 8):
        scan = real(chest, number)
        for finding in findings_of(scan):
            inside = inner(scan, finding.mask_value, 2)
            if inside.sum() > 20:
                low, high = finding.hu_range
                median = np.median(scan.hu[inside])
                assert low - 10 <= median <= high + 10, (finding.kind, median)
                seen.add(finding.kind)
    assert len(seen) >= 4


def test_the_noise_of_the_scan_goes_on_inside_a_finding(real_data: Path) -> None:
    path = real_data / "ct" / LIDC
    scan, before = real(path, 4), read_volume(path)
    largest = max((f for f in findings_of(scan) if f.kind != "Lung opacity"), key=lambda f: f.volume_ml)
    place = ndimage.find_objects((scan.mask == largest.mask_value).astype(np.uint8))[0]
    hu = before.hu[:, :, place[2]]  # tissue of the slices in which the finding lies
    tissue = np.asarray(binary_erosion((hu > 20) & (hu < 90), iterations=2), bool)
    assert 0.3 < rough(scan.hu, inner(scan, largest.mask_value, 2)) / rough(hu, tissue) < 1.8


def rough(hu: np.ndarray, where: np.ndarray) -> float:
    """Median difference between neighbours in a slice, HU."""
    pairs = where[1:] & where[:-1]
    return float(np.median(np.abs(np.diff(hu.astype(np.float32), axis=0))[pairs]))


def test_lungs_are_found_where_the_phantom_has_them(chest: Path) -> None:
    patient, (hu, grid) = draw_patient(5, 1, "real", []), upright(read_volume(chest))
    x, y, z = grid.spacing_mm
    lungs, points = (
        find_lungs(hu, (z, y, x)),
        Frame(patient.grid("small"), patient.pose, slice(0, len(hu))).points,
    )
    for side in SIDES:
        drawn, found = patient.anatomy.lung(points, side) < 0, fine(lungs, side, hu.shape)
        # The found one holds back the hilum and its vessels, which the drawn one counts in.
        assert (drawn & found).sum() / found.sum() > 0.93
        assert (drawn & found).sum() / drawn.sum() > 0.85


def fine(lungs: RealLungs, side: Side, shape: tuple[int, ...]) -> np.ndarray:
    """One lung on the grid of the scan."""
    mask, out = lungs.of(side), np.zeros(shape, bool)
    for axis, step in enumerate(lungs.step):
        mask = mask.repeat(step, axis)
    a, b, c = lungs.first
    out[a : a + mask.shape[0], b : b + mask.shape[1], c : c + mask.shape[2]] = mask
    return out


def test_what_is_marked_lies_within_the_lung_that_was_found(chest: Path) -> None:
    hu, grid = upright(read_volume(chest))
    x, y, z = grid.spacing_mm
    lungs = find_lungs(hu, (z, y, x))
    for number in (3, 4, 6, 8):
        scan = real(chest, number)
        for finding in findings_of(scan):
            sides = SIDES if finding.side == "both" else (finding.side,)
            lung = np.any([fine(lungs, side, hu.shape) for side in SIDES if side in sides], 0)
            marked = scan.mask.transpose(2, 1, 0) == finding.mask_value
            assert marked.any()
            assert lung[marked].all(), finding.kind


def test_findings_in_lidc_lie_in_the_lobes_that_an_independent_mask_marks(real_data: Path) -> None:
    scan = real(real_data / "ct" / LIDC, 4)
    lobes = read_mask(real_data / "ct" / "lidc_idri_0001" / "mask.nii.gz")
    named: dict[tuple[str | None, str | None], int] = {
        ("left", "upper"): 10,
        ("left", "lower"): 11,
        ("right", "upper"): 12,
        ("right", "lower"): 14,
    }
    for finding in findings_of(scan):
        sides = ("left", "right") if finding.side == "both" else (finding.side,)
        inside = lobes[scan.mask == finding.mask_value]
        ours = np.isin(inside, [named[side, finding.lobe] for side in sides])
        assert ours.mean() > 0.9, (finding.kind, finding.side, finding.lobe, ours.mean())


def test_findings_in_lung1_lie_in_the_lung_that_its_contours_mark(real_data: Path) -> None:
    scan = real(real_data / "ct" / LUNG1, 3)
    folder = real_data / "ct" / "nsclc_radiomics_lung1_001"
    lungs = read_mask(folder / "LUNG1-001_shrink2_lungs_gtv.nii.gz")
    for finding in findings_of(scan):
        wanted = {"left": [1], "right": [2], "both": [1, 2]}[finding.side or "both"]
        inside = lungs[scan.mask == finding.mask_value]
        assert np.isin(inside, wanted).mean() > 0.9, (finding.kind, finding.side)
        assert (inside == 3).mean() < 0.02  # not upon the tumour that is there already


def test_a_scan_that_is_no_whole_chest_is_refused_with_its_reason(
    write_chest: Callable, tmp_path: Path, real_data: Path
) -> None:
    for name in ("ibsi_ct_phantom/phantom.nii.gz", "totalsegmentator/example_ct_sm.nii.gz"):
        with pytest.raises(SimcropError) as caught:
            altered(job(real_data / "ct" / name, 1))
        assert caught.value.reason == "no-lungs"
    cut = write_chest(tmp_path / "cut.nii.gz", keep=slice(28, 64))
    with pytest.raises(SimcropError, match="lung reaches beyond the scan"):
        altered(job(cut, 1))
