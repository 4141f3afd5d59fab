"""Masks go into the cohort with their scans; one that cannot be is in the ledger, and its scan is taken without."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.ingest.mask import Mask, read_labels
from simcrop.data.store.cohort import Cohort, Study, open_cohort
from simcrop.errors import SimcropError
from simcrop.files import whole as files

SPACING = (4.0, 5.0, 6.0)
CLASSES = '{"1": "right lung", "2": "left lung", "3": "trachea"}'
Save = Callable[..., Path]


@pytest.fixture
def raw(tmp_path: Path, scan: Callable[..., np.ndarray], save: Save, lungs: np.ndarray) -> Path:
    """Scans of one grid: the first with a sound mask, the others with one wrong in its own way."""
    root, affine = tmp_path / "raw", np.diag([-2.0, -2.5, 4.0, 1.0])
    moved, swapped = affine.copy(), lungs.copy()
    moved[2, 3] = 4.0
    swapped[lungs == 1], swapped[lungs == 2] = 2, 1
    odd = {
        "sound": lungs,
        "empty": np.zeros_like(lungs),
        "fraction": lungs * np.float32(0.3),
        "negative": -lungs.astype(np.int16),
        "large": lungs.astype(np.int32) * 30_000,
        "small": lungs[1:],
        "swapped": swapped,
        "unknown": lungs * 2,
        "elsewhere": lungs,
        "channels": np.stack([lungs == 1, lungs == 2], -1).astype(np.uint8),
        "torn": lungs,
    }
    for i, (name, mask) in enumerate(odd.items()):
        save(root / f"{name}.nii.gz", scan(i))
        save(root / f"{name}_mask.nii.gz", mask, moved if name == "elsewhere" else affine)
    (root / "torn_mask.nii.gz").write_bytes((root / "torn_mask.nii.gz").read_bytes()[:90])
    (root / "classes.json").write_text(CLASSES)
    return root


def by_id(cohort: Cohort) -> dict[str, Study]:
    return {study.id: study for study in cohort}


def test_a_bad_mask_has_its_reason_in_the_ledger_and_costs_no_scan(raw: Path, tmp_path: Path) -> None:
    result = ingest(raw, "folder", tmp_path / "c", SPACING)
    assert (result.taken, result.refused) == (11, 10)
    cohort = open_cohort(tmp_path / "c")
    refused = cohort.ledger.filter(pl.col("status") == "refused")
    assert dict(zip(refused["id"], refused["reason"], strict=True)) == {
        "empty mask": "mask-empty",
        "fraction mask": "mask-numbers",
        "negative mask": "mask-numbers",
        "large mask": "mask-numbers",
        "small mask": "mask-grid",
        "swapped mask": "mask-sides",
        "unknown mask": "mask-values",
        "elsewhere mask": "mask-place",
        "channels mask": "mask-channels",
        "torn mask": "truncated-file",
    }
    assert all(str(raw) in sentence for sentence in refused["sentence"])
    sentences = dict(zip(cohort.ledger["id"], cohort.ledger["sentence"], strict=True))
    assert "its mask was refused: mask-empty" in sentences["empty"]
    assert cohort.classes == {1: "right lung", 2: "left lung", 3: "trachea"}
    assert [study.id for study in cohort if study.has_mask] == ["sound"]
    assert by_id(cohort)["sound"].mask_values == (1, 2)
    assert sorted(p.name for p in (tmp_path / "c/masks").iterdir()) == ["sound.b2nd"]
    with pytest.raises(SimcropError, match="study empty: has no mask"):
        by_id(cohort)["empty"].mask()


def test_a_mended_mask_is_taken_and_a_removed_one_goes(
    raw: Path, tmp_path: Path, save: Save, lungs: np.ndarray
) -> None:
    ingest(raw, "folder", tmp_path / "c", SPACING)
    save(raw / "empty_mask.nii.gz", lungs)
    (raw / "sound_mask.nii.gz").unlink()
    result = ingest(raw, "folder", tmp_path / "c", SPACING)
    assert (result.taken, result.refused, result.resumed) == (11, 9, 0)
    cohort = open_cohort(tmp_path / "c")
    assert [study.id for study in cohort if study.has_mask] == ["empty"]
    assert [p.name for name in ("masks", "source-masks") for p in (tmp_path / "c" / name).iterdir()] == [
        "empty.b2nd"
    ] * 2
    (tmp_path / "c/source-masks/empty.b2nd").unlink()
    assert list(cohort.verify()) == ["empty"]
    for path in raw.glob("*_mask.nii.gz"):
        if path.name != "empty_mask.nii.gz":
            path.unlink()
    ingest(raw, "folder", tmp_path / "c", SPACING)
    again = ingest(raw, "folder", tmp_path / "c", SPACING)
    assert (again.resumed, list(open_cohort(tmp_path / "c").verify())) == (11, [])


@pytest.mark.parametrize("channels", [False, True])
def test_a_mask_may_shrink_as_no_scan_does_whatever_type_its_numbers_have(
    tmp_path: Path, save: Save, lungs: np.ndarray, monkeypatch: pytest.MonkeyPatch, channels: bool
) -> None:
    mask = np.stack([lungs == n for n in range(1, 30)], -1) if channels else lungs
    path = save(tmp_path / "m.nii.gz", mask.astype(np.float64), np.diag([-2.0, -2.5, 4.0, 1.0]))
    assert mask.size * 8 > 20 * path.stat().st_size
    monkeypatch.setattr("simcrop.data.readers.stored.SCAN_SHRINKS", 20)  # a hundred, of a mask of true size
    monkeypatch.setattr("simcrop.data.readers.stored.ROOMY", lungs.size)
    labels = read_labels(Mask(path), None).values
    np.testing.assert_array_equal(labels, lungs)
    assert labels.dtype == np.int16


def test_a_damaged_label_is_found(raw: Path, tmp_path: Path) -> None:
    from simcrop.data.store.mask_file import mask_path, source_mask_path, write_mask

    ingest(raw / "sound.nii.gz", "folder", tmp_path / "c", SPACING)
    (study,) = cohort = open_cohort(tmp_path / "c")
    for path, labels in ((mask_path, study.mask()), (source_mask_path, study.source_mask())):
        other = labels.copy()
        other[1, 2, 3] = 3
        write_mask(path(cohort.path, study.id), other)
        assert list(cohort.verify()) == ["sound"]
        write_mask(path(cohort.path, study.id), labels)
        assert list(cohort.verify()) == []


def test_labels_lie_on_the_voxels_of_the_scan_whatever_axes_their_file_has(
    raw: Path, tmp_path: Path, lungs: np.ndarray
) -> None:
    image = nib.load(raw / "sound_mask.nii.gz")
    nib.as_closest_canonical(image).to_filename(raw / "empty_mask.nii.gz")
    turned = nib.orientations.axcodes2ornt("SPR")
    image.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(image.affine), turned)
    ).to_filename(raw / "unknown_mask.nii.gz")
    ingest(raw, "folder", tmp_path / "c", SPACING)
    studies = by_id(open_cohort(tmp_path / "c"))
    for name in ("sound", "empty", "unknown"):
        np.testing.assert_array_equal(studies[name].source_mask(), lungs)
        assert studies[name].mask_checksum == studies["sound"].mask_checksum
    mask = studies["sound"].mask()
    assert mask.shape == studies["sound"].shape
    np.testing.assert_array_equal(
        studies["sound"].mask_crop((-2, 3, 1), (9, 4, 60))[2:, :, : mask.shape[2] - 1], mask[:7, 3:7, 1:]
    )
    left, right = (np.argwhere(mask == n)[:, 0].mean() for n in (2, 1))
    assert left < right  # x runs to the right


def test_without_names_classes_are_called_by_their_numbers(raw: Path, tmp_path: Path) -> None:
    (raw / "classes.json").unlink()
    ingest(raw, "folder", tmp_path / "c", SPACING)
    cohort = open_cohort(tmp_path / "c")
    assert cohort.classes == {1: "class 1", 2: "class 2", 4: "class 4"}  # of `unknown`, too
    channels = by_id(cohort)["channels"]
    np.testing.assert_array_equal(channels.source_mask(), by_id(cohort)["sound"].source_mask())


def test_no_mask_no_folder_and_no_classes(
    tmp_path: Path, scan: Callable[..., np.ndarray], save: Save
) -> None:
    save(tmp_path / "raw/ct.nii.gz", scan(0))
    (tmp_path / "raw/classes.json").write_text(CLASSES)
    ingest(tmp_path / "raw", "folder", tmp_path / "c", SPACING)
    assert open_cohort(tmp_path / "c").classes == {}
    assert not (tmp_path / "c/masks").exists()


def test_the_command_tells_that_masks_were_refused(raw: Path, tmp_path: Path, simcrop: Callable) -> None:
    ran = simcrop("ingest", raw, "--out", tmp_path / "c", "--spacing", "8,8,8")
    assert ran.code == 1
    assert "11 taken, 10 refused" in ran.out + ran.err


@pytest.mark.parametrize("at", range(3))
def test_an_ingest_that_is_killed_between_a_mask_and_its_scan_ends_as_if_it_had_not_been(
    raw: Path, tmp_path: Path, content: Callable, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    for path in [*raw.glob("*_mask.nii.gz"), *raw.glob("*.nii.gz")]:
        if not path.name.startswith(("sound", "torn")):
            path.unlink(missing_ok=True)
    ingest(raw, "folder", tmp_path / "whole", SPACING)
    real, left = files.write_whole, [at]

    def write(path: Path, voxels: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise files.StoreError("disk-full", f"{path}: the disk is full")
        real(path, voxels)

    for module in ("mask_file", "volume_file"):
        monkeypatch.setattr(f"simcrop.data.store.{module}.write_whole", write)
    with pytest.raises(SimcropError, match="the disk is full"):  # and not a refused mask
        ingest(raw, "folder", tmp_path / "c", SPACING)
    monkeypatch.undo()
    ingest(raw, "folder", tmp_path / "c", SPACING)
    assert content(tmp_path / "c") == content(tmp_path / "whole")


def test_damaged_bytes_are_named_before_the_numbers_that_they_give(tmp_path: Path, save: Save) -> None:
    """Of a label volume and of channels, either more than is read at once."""
    labels = np.random.default_rng(1).integers(-9, 9999, (60, 60, 60, 2)).astype(np.int16)
    for mask in (labels[..., 0], labels):
        path = save(tmp_path / f"{mask.ndim}.nii.gz", mask)
        for wrong, said in ((0, "mask-numbers"), (1, "corrupt-file")):
            content = bytearray(path.read_bytes())
            content[-8] ^= wrong  # of gzip's checksum
            path.write_bytes(content)
            with pytest.raises(SimcropError) as raised:
                read_labels(Mask(path, {1: "right lung", 2: "left lung"}), None)
            assert raised.value.reason == said
