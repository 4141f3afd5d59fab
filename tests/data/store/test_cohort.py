"""A cohort opened again: crops against slow slicing, bad stores, and all real scans with left on the left."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest
from nibabel.affines import apply_affine

from simcrop.data.ingest import ingest
from simcrop.data.preprocess import crop_or_pad
from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import Cohort, Study, open_cohort
from simcrop.data.store.volume_file import read_crop, read_whole, write_volume
from simcrop.errors import SimcropError

SHAPE = (41, 35, 19)
VOLUMES = ["a.b2nd", "a.npy"]
LIDC, LUNA = (
    "lidc_idri_0001__cxr",
    "luna16_mhd__1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192",
)
LUNG1 = "nsclc_radiomics_lung1_001__LUNG1-001_shrink2"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    for i in range(3):
        hu = np.full((29, 23, 17), -1000.0)
        hu[4:-4, 4:-4] = 40
        hu += np.random.default_rng(i).normal(0, 15, hu.shape)
        image = nib.Nifti1Image(hu.astype(np.int16), np.diag([-2.0, 2.5, 4.0, 1.0]))
        image.to_filename(folder / f"ct{i}.nii.gz")
    table = "id,findings,impression,split,label:Emphysema\nct0,Clear.,,train,1\nct1,,,valid,0\n"
    (folder / "reports.csv").write_text(table)
    ingest(folder, "folder", folder / "cohort")
    return folder / "cohort"


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy, tmp_path / "cohort"))


@pytest.mark.parametrize(
    "start", [(0, 0, 0), (-3, 5, -7), (30, 30, 10), (-50, 0, 0), (41, 0, 0), (7, -2, 18)]
)
@pytest.mark.parametrize("shape", [(5, 7, 9), (41, 35, 19), (60, 50, 40)])
@pytest.mark.parametrize("name", VOLUMES)
def test_crop_equals_slow_slicing_with_air_outside(
    tmp_path: Path, name: str, start: tuple[int, int, int], shape: tuple[int, int, int]
) -> None:
    voxels = np.random.default_rng(0).integers(-1000, 3000, SHAPE).astype(np.int16)
    write_volume(tmp_path / name, voxels)
    expected = np.full(shape, -1000, np.int16)
    for index in np.ndindex(*shape):
        at = tuple(s + i for s, i in zip(start, index, strict=True))
        if all(0 <= a < n for a, n in zip(at, SHAPE, strict=True)):
            expected[index] = voxels[at]
    np.testing.assert_array_equal(read_crop(tmp_path / name, start, shape), expected)
    np.testing.assert_array_equal(crop_or_pad(voxels, start, shape), expected)


@pytest.mark.parametrize("name", VOLUMES)
def test_extreme_values_survive_storage(tmp_path: Path, name: str) -> None:
    voxels = np.random.default_rng(0).integers(-32768, 32768, SHAPE).astype(np.int16)
    assert write_volume(tmp_path / name, voxels) == (tmp_path / name).stat().st_size
    np.testing.assert_array_equal(read_whole(tmp_path / name), voxels)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", VOLUMES)
@pytest.mark.parametrize("kept", [0, 10, 300, 2000, -1])
def test_cut_off_volume_is_damaged(tmp_path: Path, name: str, kept: int) -> None:
    write_volume(tmp_path / name, np.random.default_rng(0).integers(-1000, 3000, SHAPE).astype(np.int16))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:kept])
    with pytest.raises(SimcropError, match="damaged"):
        read_whole(tmp_path / name)


def test_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[[{"a": 1}]]]), allow_pickle=True)
    with pytest.raises(SimcropError, match="damaged"):
        read_whole(tmp_path / "a.npy")


def test_cohort_is_a_sequence_of_studies(toy: Path) -> None:
    cohort = open_cohort(toy)
    assert len(cohort) == 3
    assert [s.id for s in cohort] == ["ct0", "ct1", "ct2"] == cohort.index["id"].to_list()
    assert cohort[-1].id == "ct2"
    assert cohort.labels == ["Emphysema"]
    assert [s.labels["Emphysema"] for s in cohort] == [1, 0, None]
    assert cohort[0].source_path == toy.parent / "ct0.nii.gz"
    with pytest.raises(IndexError):
        cohort[3]


def test_select_keeps_one_split(toy: Path) -> None:
    cohort = open_cohort(toy)
    assert [s.id for s in cohort.select(split="valid")] == ["ct1"]
    assert len(cohort.select(split="test")) == 0
    assert cohort.select(split="valid").ledger.height == 3


def test_stored_volume_knows_its_units_and_decision(toy: Path) -> None:
    study = open_cohort(toy)[0]
    volume = study.volume()
    assert volume.hu.dtype == np.float32
    assert volume.spacing_mm == pytest.approx((1.5, 1.5, 3.0))
    assert volume.decision is not None
    assert volume.decision.sentence == (study.hu_decision or {})["sentence"]
    placement = study.placement()
    assert placement.resampled_shape == study.shape
    assert placement.start == tuple((n - m) // 2 for n, m in zip(study.shape, (224, 224, 112), strict=True))
    assert study.placement(start=(0, 0, 0)).start == (0, 0, 0)


def test_printed_study_carries_no_report(toy: Path) -> None:
    assert "Clear." not in repr(open_cohort(toy)[0])


def test_forked_worker_reads_studies(toy: Path) -> None:
    script = (
        "import os, sys\nfrom simcrop import open_cohort\n"
        "cohort = open_cohort(sys.argv[1]); cohort.index.filter(cohort.index['sentences'] > 0); cohort[0].read()\n"
        "child = os.fork()\n"
        "if not child:\n    os._exit(int(cohort[1].crop((1, 2, 3), (4, 5, 6)).shape != (4, 5, 6)))\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(toy)], timeout=30).returncode == 0
    assert pickle.loads(pickle.dumps(open_cohort(toy)))[2].id == "ct2"  # noqa: S301


def test_verify_names_the_damaged(copy: Path) -> None:
    cohort = open_cohort(copy)
    assert list(cohort.verify()) == []
    (copy / "volumes/ct0.b2nd").unlink()
    (copy / "volumes/ct1.b2nd").write_bytes(b"x" * 400)
    other = cohort[2].read()
    other[3, 2, 1] += 1
    write_volume(copy / "volumes/ct2.b2nd", other)
    assert list(cohort.verify()) == ["ct0", "ct1", "ct2"]


@pytest.mark.parametrize(("content", "reason"), [(None, "missing-volume"), (b"", "corrupt-volume")])
def test_lost_volume_is_one_line(copy: Path, content: bytes | None, reason: str) -> None:
    path = copy / "volumes/ct0.b2nd"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(SimcropError, match=r"ct0\.b2nd") as caught:
        open_cohort(copy)[0].crop((0, 0, 0), (2, 3, 4))
    assert caught.value.reason == reason


def test_half_a_volume_is_one_line(copy: Path) -> None:
    path = copy / "volumes/ct0.b2nd"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SimcropError, match="damaged"):
        open_cohort(copy)[0].read()


def test_folder_that_is_no_cohort_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SimcropError) as caught:
            open_cohort(path)
        assert caught.value.reason == "not-a-cohort"


def test_another_format_is_refused(copy: Path) -> None:
    facts = json.loads((copy / "cohort.json").read_text())
    (copy / "cohort.json").write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(SimcropError, match="update simcrop") as caught:
        open_cohort(copy)
    assert caught.value.reason == "newer-format"
    (copy / "cohort.json").write_text(json.dumps(facts | {"format": 1}))
    with pytest.raises(SimcropError, match="format 1, this simcrop reads 3: ingest again") as older:
        open_cohort(copy)
    assert older.value.reason == "older-format"


@pytest.mark.parametrize("name", ["cohort.json", "studies.parquet", "ledger.parquet"])
def test_damaged_table_is_one_line(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"PAR1 nonsense")
    with pytest.raises(SimcropError, match="damaged") as caught:
        open_cohort(copy)
    assert caught.value.reason == "corrupt-cohort"


def test_table_without_its_columns_is_one_line(copy: Path) -> None:
    pl.read_parquet(copy / "studies.parquet").drop("affine").write_parquet(copy / "studies.parquet")
    with pytest.raises(SimcropError, match="the column affine"):
        open_cohort(copy)


# Real scans


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("real") / "cohort"
    ingest(real_data / "ct", "folder", folder, workers=2)
    return open_cohort(folder)


def by_id(cohort: Cohort, id: str) -> Study:
    return cohort[cohort.index["id"].to_list().index(id)]


def test_every_real_scan_is_taken_and_every_mask_refused(real: Cohort) -> None:
    found = {
        id: (status, reason)
        for id, status, reason in real.ledger.select("id", "status", "reason").iter_rows()
    }
    taken = {
        "cip_ct64__ct-64",
        "cip_ct64__ct-64Dicom",
        "ibsi_ct_phantom__phantom",
        LIDC,
        LUNA,
        "lung_dx_a0001_dicom",
        LUNG1,
        "radiomics_digital_phantom_dicom__pat_2",
        "totalsegmentator__example_ct_sm",
        "totalsegmentator__pulmonary_ct_cropped",
    }
    masks = {
        "cip_ct64__lm-64",
        "cip_ct64__wholeLung-64",
        "ibsi_ct_phantom__mask",
        "lidc_idri_0001__mask",
        f"{LUNG1}_lungs_gtv",
        "totalsegmentator__example_seg",
    }
    assert found == dict.fromkeys(taken, ("taken", "")) | dict.fromkeys(masks, ("refused", "not-ct"))
    assert all(real.ledger["sentence"].str.len_chars() > 20)
    assert set(real.index["id"]) == taken


def test_real_store_is_sound_and_in_hu(real: Cohort) -> None:
    assert list(real.verify()) == []
    for study in real:
        voxels = study.read()
        assert voxels.shape == study.shape
        assert np.mean(voxels < -300) > 0.01, study.id
        assert np.mean((voxels > -200) & (voxels < 250)) > 0.1, study.id


def test_stored_lidc_shows_the_same_tissue_at_the_same_mm_as_the_file(real: Cohort) -> None:
    study = by_id(real, LIDC)
    source = read_volume(study.source_path)
    index = np.stack(
        np.meshgrid(*(np.arange(40, n - 40, 37) for n in source.shape), indexing="ij"), -1
    ).reshape(-1, 3)
    at = apply_affine(np.linalg.inv(study.affine) @ source.affine, index).round().astype(int)
    hu, stored = source.hu[tuple(index.T)], study.read()[tuple(at.T)]
    assert np.corrcoef(hu, stored)[0, 1] > 0.97


def under_mask(study: Study, mask: Path, labels: list[int]) -> tuple[float, float, float]:
    """Mean stored HU under some labels, the same had left and right been swapped, and the labels' mean RAS+ x in mm."""
    image = nib.Nifti1Image.from_filename(mask)
    assert image.affine is not None
    mm = apply_affine(image.affine, np.argwhere(np.isin(np.asarray(image.dataobj), labels))[::17])
    voxels, inverse = study.read(), np.linalg.inv(study.affine)
    at = apply_affine(inverse, mm).round().astype(int)
    assert (at >= 0).all()
    assert (at < study.shape).all()
    mirrored = voxels[::-1][tuple(at.T)]
    from_middle = mm[:, 0].mean() - apply_affine(study.affine, (np.array(study.shape) - 1) / 2)[0]
    return float(voxels[tuple(at.T)].mean()), float(mirrored.mean()), float(from_middle)


@pytest.mark.parametrize(
    ("id", "mask", "left", "right"),
    [
        (LUNG1, "nsclc_radiomics_lung1_001/LUNG1-001_shrink2_lungs_gtv.nii.gz", [1], [2]),
        (LIDC, "lidc_idri_0001/mask.nii.gz", [10, 11], [12, 13, 14]),
        (LUNA, "lidc_idri_0001/mask.nii.gz", [10, 11], [12, 13, 14]),
    ],
)
def test_left_and_right_lung_stay_on_their_sides(
    real: Cohort, real_data: Path, id: str, mask: str, left: list[int], right: list[int]
) -> None:
    study = by_id(real, id)
    left_hu, left_swapped, left_x = under_mask(study, real_data / "ct" / mask, left)
    right_hu, right_swapped, right_x = under_mask(study, real_data / "ct" / mask, right)
    assert left_hu < -500
    assert right_hu < -500
    # Chests are nearly symmetric: what lies under a swapped mask is still mostly lung, but clearly less so.
    assert left_hu < left_swapped - 100
    assert right_hu < right_swapped - 100
    assert left_x < -20 < 20 < right_x
