"""Every real scan is read as its provenance says; two formats of one scan agree; left lungs lie on the left.

Axes: `(x, y, z)` as stored; mm are RAS+, so the patient's left has the smaller x.
"""

import csv
import itertools
import time
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from simcrop.data.hounsfield import Hint, decide, hint_from_ct_rate
from simcrop.data.readers import find_scans, read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

LUNA = "luna16_mhd/1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192.mhd"
LUNG1 = "nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz"
# Path, shape (x, y, z), spacing in mm, highest HU, lowest HU once padding is air.
SCANS = [
    ("lidc_idri_0001/cxr.nii.gz", (512, 512, 133), (0.703125, 0.703125, 2.5), 3071, -1024),
    (LUNA, (256, 256, 133), (1.40625, 1.40625, 2.5), 3071, -1500),
    ("lung_dx_a0001_dicom", (512, 512, 64), (0.841797, 0.841797, 5.0), 2976, -1024),
    (LUNG1, (256, 256, 134), (1.953125, 1.953125, 3.0), 2970, -1024),
    ("ibsi_ct_phantom/phantom.nii.gz", (204, 201, 60), (0.977, 0.977, 3.0), 3065, -1000),
    ("radiomics_digital_phantom_dicom/pat_2", (141, 138, 41), (0.977, 0.977, 3.0), None, None),
    ("cip_ct64/ct-64.nrrd", (64, 64, 79), (4.171872, 4.171872, 3.987342), 1095, -1007),
    ("cip_ct64/ct-64Dicom", (64, 64, 79), (4.171872, 4.171872, 3.987342), 1095, -1007),
    ("totalsegmentator/pulmonary_ct_cropped.nii.gz", (122, 102, 112), (1.5, 1.5, 1.5), 3343, -1064),
    ("totalsegmentator/example_ct_sm.nii.gz", (122, 101, 30), (3.0, 3.0, 3.0), 1207, -1100),
]
MASKS = [
    "lidc_idri_0001/mask.nii.gz",
    "ibsi_ct_phantom/mask.nii.gz",
    "nsclc_radiomics_lung1_001/LUNG1-001_shrink2_lungs_gtv.nii.gz",
    "cip_ct64/lm-64.nrrd",
    "cip_ct64/wholeLung-64.nrrd",
    "totalsegmentator/example_seg.nii.gz",
]


@cache
def read(path: Path) -> Volume:
    return read_volume(path)


@pytest.mark.parametrize(("name", "shape", "spacing", "highest", "lowest"), SCANS)
def test_each_scan_is_read_as_its_provenance_says(
    real_data: Path,
    name: str,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    highest: int | None,
    lowest: int | None,
) -> None:
    volume = read(real_data / "ct" / name)
    assert volume.shape == shape
    np.testing.assert_allclose(volume.spacing_mm, spacing, rtol=1e-5)
    if highest is not None:
        assert (volume.hu.max(), volume.hu.min()) == (highest, lowest)
    assert volume.decision is not None
    assert volume.hu.dtype == np.float32


@pytest.mark.parametrize("name", MASKS)
def test_each_mask_is_refused(real_data: Path, name: str) -> None:
    with pytest.raises(SimcropError) as caught:
        read_volume(real_data / "ct" / name)
    assert caught.value.reason == "not-ct"


def test_every_scan_and_mask_is_found_once_and_nothing_else(real_data: Path) -> None:
    root = real_data / "ct"
    expected = sorted([root / name for name, *_ in SCANS] + [root / name for name in MASKS])
    assert find_scans(root) == expected


def test_padding_of_lidc_is_air_and_recorded(real_data: Path) -> None:
    for name in ("lidc_idri_0001/cxr.nii.gz", LUNA):
        decision = read(real_data / "ct" / name).decision
        assert decision is not None
        assert decision.padding_hu == -2048
        assert decision.padding_share == pytest.approx(0.21, abs=0.01)


def test_the_structure_set_beside_the_slices_is_left_out(real_data: Path) -> None:
    volume = read(real_data / "ct" / "radiomics_digital_phantom_dicom" / "pat_2")
    assert volume.notes == ("DICOM files left out because they are no CT slice: 1",)


def test_nrrd_and_dicom_of_one_scan_agree_exactly(real_data: Path) -> None:
    nrrd = read(real_data / "ct" / "cip_ct64" / "ct-64.nrrd").to_ras()
    dicom = read(real_data / "ct" / "cip_ct64" / "ct-64Dicom").to_ras()
    np.testing.assert_array_equal(nrrd.hu, dicom.hu)
    corners = list(itertools.product((0, 63), (0, 63), (0, 78)))
    moved = apply_affine(nrrd.affine, corners) - apply_affine(dicom.affine, corners)
    assert np.abs(moved).max() < 0.01


def test_nifti_and_metaimage_of_one_scan_agree_in_hu_and_mm(real_data: Path) -> None:
    fine = read(real_data / "ct" / "lidc_idri_0001" / "cxr.nii.gz").to_ras()
    coarse = read(real_data / "ct" / LUNA).to_ras()
    # Where any of four voxels was padding their mean mixes it with air: the common ground is the rest.
    blocks = fine.hu.reshape(256, 2, 256, 2, 133)
    inside = (coarse.hu > -1000) & (blocks.min((1, 3)) > -1000)
    assert inside.mean() > 0.4
    difference = np.abs(blocks.mean((1, 3)) - coarse.hu)[inside]
    assert difference.max() <= 1  # the mean was rounded to int16

    # The first coarse voxel's centre lies half a fine voxel beyond the first fine one's, in x and y.
    corners = np.array(list(itertools.product((0, 255), (0, 255), (0, 132))))
    in_fine = apply_affine(fine.affine, corners * (2, 2, 1) + (0.5, 0.5, 0))
    np.testing.assert_allclose(apply_affine(coarse.affine, corners), in_fine, atol=1e-3)


def centre_x_mm(mask_path: Path, labels: list[int], volume: Volume) -> float:
    """Mean x of a mask's voxels, once the scan itself is turned to RAS+ with it and the mask lies on its lung."""
    mask = nib.load(mask_path)
    np.testing.assert_allclose(mask.affine, volume.affine, atol=1e-4)
    labelled = Volume(np.isin(np.asanyarray(mask.dataobj), labels).astype(np.float32), volume.affine).to_ras()
    index = np.argwhere(labelled.hu)
    # The heart and the diaphragm make a chest lopsided: in a mirrored scan the mask would lie on soft tissue.
    ras = volume.to_ras()
    assert ras.affine[0, 0] > 0
    tissue, mirrored = ((hu[tuple(index.T)] > -300).mean() for hu in (ras.hu, ras.hu[::-1]))
    assert tissue < 0.5 * mirrored
    return float(apply_affine(ras.affine, index)[:, 0].mean())


def test_lung_masks_of_lung1_lie_on_their_sides(real_data: Path) -> None:
    volume = read(real_data / "ct" / LUNG1)
    path = real_data / "ct" / "nsclc_radiomics_lung1_001" / "LUNG1-001_shrink2_lungs_gtv.nii.gz"
    left, right = centre_x_mm(path, [1], volume), centre_x_mm(path, [2], volume)
    assert left < right - 80


def test_lobe_masks_of_lidc_lie_on_their_sides(real_data: Path) -> None:
    folder = real_data / "ct" / "lidc_idri_0001"
    with (folder / "structures.csv").open(newline="") as file:
        names = {row["structure"]: int(row["id"]) for row in csv.DictReader(file)}
    left = [label for name, label in names.items() if name.startswith("lung_") and name.endswith("_left")]
    right = [label for name, label in names.items() if name.startswith("lung_") and name.endswith("_right")]
    assert (sorted(left), sorted(right)) == ([10, 11], [12, 13, 14])
    volume = read(folder / "cxr.nii.gz")
    mask = folder / "mask.nii.gz"
    assert centre_x_mm(mask, left, volume) < centre_x_mm(mask, right, volume) - 80


def test_a_real_scan_in_the_raw_form_of_ct_rate_comes_back(real_data: Path, tmp_path: Path) -> None:
    """Header 1 and 0, no geometry, the rescale -8192 and the place only in the table."""
    scan = read(real_data / "ct" / LUNG1)
    image = nib.Nifti1Image((scan.hu + 8192).astype(np.int16), None)
    nib.save(image, tmp_path / "valid_1_a_1.nii.gz")
    x, y, z = np.diag([-1, -1, 1]) @ scan.affine[:3, 3]
    row = {
        "RescaleSlope": "1",
        "RescaleIntercept": "-8192",
        "XYSpacing": "[1.953125, 1.953125]",
        "ZSpacing": "3",
        "ImagePositionPatient": f"[{x}, {y}, {z}]",
        "ImageOrientationPatient": "[1, 0, 0, 0, 1, 0]",
    }
    volume = read_volume(tmp_path / "valid_1_a_1.nii.gz", hint_from_ct_rate(row))
    np.testing.assert_array_equal(volume.hu, scan.hu)
    np.testing.assert_allclose(volume.affine, scan.affine, atol=1e-3)
    assert read_volume(real_data / "ct" / LUNG1, Hint(1.0, -8192.0)).decision == scan.decision


def test_the_fake_rad_chest_ct_sample_has_the_format_of_the_reader(real_data: Path) -> None:
    volume = read_volume(real_data / "radchestct" / "fake_format_samples" / "FAKE000.npz")
    assert (volume.shape, volume.axis_codes) == ((10, 10, 10), "LPI")


def test_a_scan_of_512_x_512_x_133_is_read_within_seconds(real_data: Path) -> None:
    start = time.perf_counter()
    read_volume(real_data / "ct" / "lidc_idri_0001" / "cxr.nii.gz")
    assert time.perf_counter() - start < 5  # about 0.4 s on a quiet core


@pytest.mark.parametrize("name", [name for name, *_ in SCANS])
def test_every_scan_in_disguise_is_recognised_or_refused(real_data: Path, name: str) -> None:
    """Offsets as CT-RATE has them: the table is believed when it helps, never when the numbers are HU already."""
    hu = read(real_data / "ct" / name).hu[::2, ::2]
    for offset in (1024, 8192):
        table = Hint(1.0, -float(offset))
        assert decide(hu + offset, hint=table).source == "metadata"
        assert decide(hu, hint=table).source == "stored"
        with pytest.raises(SimcropError, match="with an intercept of"):
            decide(hu + offset)
    with pytest.raises(SimcropError):
        decide(hu - 1024, hint=Hint(1.0, -1024.0))
