"""Real masks with their real scans: left stays left, no label moves, and the stored grid costs what it must.

The masks: LUNG1-001's lungs and tumour, drawn by hand; organs of LIDC-IDRI-0001 and of a small abdomen, by machine.
"""

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from simcrop.data.ingest import ingest
from simcrop.data.label_volume import resampled_labels
from simcrop.data.resampling.plan import plan
from simcrop.data.store.cohort import Cohort, Study, open_cohort

LUNG1 = "nsclc_radiomics_lung1_001/LUNG1-001_shrink2"
CLASSES = {1: "left lung", 2: "right lung", 3: "GTV"}
SPACING = (4.0, 4.0, 8.0)


@pytest.fixture(scope="module")
def chests(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Both chests as somebody might keep them; the mask of one also mirrored, in another order of axes."""
    root, ct = tmp_path_factory.mktemp("chests"), real_data / "ct"
    raw = root / "raw"
    raw.mkdir()
    for name in ("lung1", "mirrored", "turned"):
        shutil.copy(ct / f"{LUNG1}.nii.gz", raw / f"{name}.nii.gz")
    mask = nib.load(ct / f"{LUNG1}_lungs_gtv.nii.gz")
    labels = np.asanyarray(mask.dataobj)
    nib.save(mask, raw / "lung1_mask.nii.gz")
    nib.Nifti1Image(labels[::-1], mask.affine).to_filename(raw / "mirrored_mask.nii.gz")
    ornt = nib.orientations.ornt_transform(
        nib.io_orientation(mask.affine), nib.orientations.axcodes2ornt("SAR")
    )
    mask.as_reoriented(ornt).to_filename(raw / "turned_mask.nii")
    (raw / "classes.json").write_text(json.dumps({str(number): name for number, name in CLASSES.items()}))
    ingest(raw, "folder", root / "cohort", SPACING)
    return open_cohort(root / "cohort")


def by_id(cohort: Cohort) -> dict[str, Study]:
    return {study.id: study for study in cohort}


def middle(study: Study, number: int) -> np.ndarray:
    """RAS+ mm of the middle of a class on the stored grid."""
    index = np.argwhere(study.mask() == number)
    assert len(index), number
    return study.affine[:3, :3] @ index.mean(0) + study.affine[:3, 3]


def test_left_and_right_lung_of_a_real_chest_stay_on_their_sides(chests: Cohort) -> None:
    assert chests.classes == CLASSES
    study = by_id(chests)["lung1"]
    assert study.mask_values == (1, 2, 3)
    assert middle(study, 1)[0] < middle(study, 2)[0] - 80  # x grows to the right
    hu, mask = study.read(), study.mask()
    lung, elsewhere = (mask == 1) | (mask == 2), (mask[::-1] == 1) | (mask[::-1] == 2)
    # The heart makes a chest lopsided: the lungs' labels lie on air, and mirrored they would not.
    assert (hu[lung] > -300).mean() < 0.5 * (hu[elsewhere] > -300).mean()


def test_a_mirrored_mask_is_refused_by_its_sides(chests: Cohort) -> None:
    refused = chests.ledger.filter(chests.ledger["status"] == "refused")
    assert refused.select("id", "reason").rows() == [("mirrored mask", "mask-sides")]
    assert not by_id(chests)["mirrored"].has_mask


def test_a_mask_with_other_axes_is_brought_to_those_of_the_scan_to_the_voxel(
    chests: Cohort, real_data: Path
) -> None:
    labels = np.asanyarray(nib.load(real_data / "ct" / f"{LUNG1}_lungs_gtv.nii.gz").dataobj)
    for name in ("lung1", "turned"):
        np.testing.assert_array_equal(by_id(chests)[name].source_mask(), labels)
    np.testing.assert_array_equal(by_id(chests)["turned"].mask(), by_id(chests)["lung1"].mask())


def test_lobes_of_lidc_become_the_lungs_that_luna16_numbers_3_and_4(real_data: Path, tmp_path: Path) -> None:
    """LUNA16's own masks are not here, but one of its scans is, and the lobes of that very patient by another tool.

    In LUNA16's numbers 3 is the left and 4 the right lung. So they are taken, and the other way round refused.
    """
    ct = real_data / "ct"
    with (ct / "lidc_idri_0001/structures.csv").open(newline="") as file:
        number_of = {row["structure"]: int(row["id"]) for row in csv.DictReader(file)}
    lobes = np.asanyarray(nib.load(ct / "lidc_idri_0001/mask.nii.gz").dataobj)
    volume = np.zeros(lobes.shape, np.uint8)
    for side, number in (("left", 3), ("right", 4)):
        names = [name for name in number_of if name.startswith("lung_") and name.endswith(f"_{side}")]
        volume[np.isin(lobes, [number_of[name] for name in names])] = number
    scan = sitk.ReadImage(str(next((ct / "luna16_mhd").glob("*.mhd"))))
    uid = next((ct / "luna16_mhd").glob("*.mhd")).stem
    shutil.copytree(ct / "luna16_mhd", tmp_path / "raw/subset0")
    fine = volume[:, ::-1].transpose(2, 1, 0)  # the same scan, but for y and half the voxels in a slice
    for order, taken in (((0, 0, 0, 3, 4), True), ((0, 0, 0, 4, 3), False)):
        image = sitk.GetImageFromArray(np.array(order, np.uint8)[fine[:, ::2, ::2]])
        image.CopyInformation(scan)
        (tmp_path / "raw/seg-lungs-LUNA16").mkdir(exist_ok=True)
        sitk.WriteImage(image, str(tmp_path / f"raw/seg-lungs-LUNA16/{uid}.mhd"), useCompression=True)
        ingest(tmp_path / "raw", "luna16", tmp_path / "cohort", SPACING)
        (study,) = cohort = open_cohort(tmp_path / "cohort")
        assert study.has_mask == taken
        if taken:
            assert cohort.classes == {3: "left lung", 4: "right lung", 5: "trachea"}
            hu, mask = study.read(), study.mask()
            assert middle(study, 3)[0] < middle(study, 4)[0] - 80
            assert (hu[mask > 0] > -300).mean() < 0.5 * (hu[mask[::-1] > 0] > -300).mean()
    assert cohort.ledger["reason"].to_list() == ["", "mask-sides"]


def test_a_small_abdomen_comes_with_a_json_in_the_decathlons_style(real_data: Path, tmp_path: Path) -> None:
    """As one label map, and with a channel for each of its organs."""
    ct, raw = real_data / "ct/totalsegmentator", tmp_path / "raw"
    organs = {1: "spleen", 2: "right kidney", 3: "left kidney", 4: "gallbladder", 5: "liver", 6: "stomach"}
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    whole = nib.load(ct / "example_seg.nii.gz")
    labels = np.asanyarray(whole.dataobj)
    labels = np.where(np.isin(labels, list(organs)), labels, 0).astype(np.uint8)
    channels = np.stack([labels == n for n in organs], -1).astype(np.uint8)
    for name, voxels in (("map", labels), ("channels", channels)):
        shutil.copy(ct / "example_ct_sm.nii.gz", raw / f"imagesTr/{name}.nii.gz")
        nib.Nifti1Image(voxels, whole.affine).to_filename(raw / f"labelsTr/{name}.nii.gz")
    pairs = [{"image": f"imagesTr/{n}.nii.gz", "label": f"labelsTr/{n}.nii.gz"} for n in ("map", "channels")]
    facts = {
        "labels": {"0": "background"} | {str(n): organ for n, organ in organs.items()},
        "training": pairs,
    }
    (raw / "dataset.json").write_text(json.dumps(facts))
    for layout in ("btcv", "folder"):
        result = ingest(raw, layout, tmp_path / layout, SPACING)
        assert (result.taken, result.refused) == (2, 0)
        cohort = open_cohort(tmp_path / layout)
        assert cohort.classes == organs
        for study in cohort:
            np.testing.assert_array_equal(study.source_mask(), labels)
            assert study.mask_values == tuple(n for n in organs if (labels == n).any())
        study = cohort[0]
        spleen, liver = (middle(study, n)[0] for n in (1, 5))
        assert spleen < liver - 80


def nearest(labels: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], onto: np.ndarray) -> np.ndarray:
    """Labels on another grid, by SimpleITK."""
    there = as_image(np.zeros(shape, np.int16), onto)
    found = sitk.Resample(as_image(labels, affine), there, sitk.Transform(), sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(found).transpose(2, 1, 0)


def as_image(labels: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """In the LPS mm of ITK."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.transpose(2, 1, 0)))
    lps = np.diag([-1.0, -1.0, 1.0])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps @ affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((lps @ affine[:3, 3]).tolist())
    return image


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_truth_has_its_known_dice_through_the_stored_grid(real_data: Path) -> None:
    """A lobe loses 2 %, an adrenal gland of a few mm a fifth: what a perfect network would be given, were it scored on
    that grid and not on the scan's own, where nothing is lost.
    """
    image = nib.load(real_data / "ct/lidc_idri_0001/mask.nii.gz")
    labels, affine = np.asanyarray(image.dataobj).astype(np.int16), image.affine
    to = plan(labels.shape, affine, (1.5, 1.5, 3.0))
    shape = (241, 241, 111)
    assert tuple(len(to.taps[axis].first) for axis in to.axes) == shape
    stored = resampled_labels(labels, affine, shape, to.affine)
    assert (
        nearest(labels, affine, shape, to.affine) != stored
    ).mean() < 0.002  # halfway between two voxels alone
    back = nearest(stored, to.affine, labels.shape, affine)
    known = {8: 0.788, 9: 0.904, 10: 0.984, 12: 0.980}
    assert {n: dice(labels == n, back == n) for n in known} == pytest.approx(known, abs=0.005)
