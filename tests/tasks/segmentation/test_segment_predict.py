"""`simcrop segment-predict`: one scan or a folder of them, DICOM beside NIfTI, killed and continued, refused in part.

Axes: x, y, z with 29, 23, 17 voxels at 2.0, 2.5, 4.0 mm.
"""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from simcrop.data.readers import read_volume
from simcrop.tasks.segmentation import segment_predict as task

Chests = dict[str, Callable[..., Path]]
NAMES = ("left lung", "liver")


def content(folder: Path) -> dict[str, bytes]:
    """Of masks and volumes; the time that a DICOM file was made is not its content."""
    found = {
        p.name: p.read_bytes() for p in sorted((folder / "masks").iterdir()) if p.suffix in (".gz", ".png")
    }
    for path in (folder / "masks").glob("*.dcm"):
        seg = pydicom.dcmread(path)
        found[path.name] = seg.SOPInstanceUID.encode() + seg.PixelData
    return found | {"volumes.csv": (folder / "volumes.csv").read_bytes()}


def test_a_folder_is_marked_but_for_the_scan_that_cannot_be_read(
    simcrop: Callable, segmenter_folder: Path, ruled: Callable, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = simcrop("segment-predict", segmenter_folder, scans, "--out", out)
    assert ran.code == 1, ran
    assert "torn.nii.gz" in ran.err
    assert sorted(p.name for p in out.iterdir()) == [
        "masks",
        "metrics.json",
        "report.html",
        "run.json",
        "volumes.csv",
    ]
    endings = ("json", "nii.gz", "png")
    assert sorted(p.name for p in (out / "masks").iterdir()) == sorted(
        [*(f"{name}.{e}" for name in ("a-b__ct", "series") for e in endings), "series.seg.dcm"]
    )
    metrics = json.loads((out / "metrics.json").read_text())
    assert [one["id"] for one in metrics["refused"]] == ["torn"]
    assert metrics["refused"][0]["reason"] in ("truncated-file", "corrupt-file")
    rows = list(csv.DictReader((out / "volumes.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == ["a-b__ct", "series"]
    for name, path in (("a-b__ct", scans / "a b/ct.nii.gz"), ("series", scans / "series")):
        volume, mask = read_volume(path), nib.load(out / f"masks/{name}.nii.gz")
        labels = np.asarray(mask.dataobj)
        assert labels.shape == volume.shape
        assert labels.dtype == np.uint8
        np.testing.assert_allclose(mask.affine, volume.affine, atol=1e-4)
        inside = labels == ruled(volume.hu)
        assert inside.mean() > 0.5  # the model's voxels are ten times as large
        voxel_ml = 2 * 2.5 * 4 / 1000
        row = next(row for row in rows if row["id"] == name)
        for i, of in enumerate(NAMES, start=1):
            assert float(row[of]) == pytest.approx((labels == i).sum() * voxel_ml, abs=1e-3)
    seg = pydicom.dcmread(out / "masks/series.seg.dcm")
    labels = np.asarray(nib.load(out / "masks/series.nii.gz").dataobj)
    assert int(seg.pixel_array.sum()) == np.count_nonzero(labels)
    assert [item.SegmentLabel for item in seg.SegmentSequence] == list(NAMES)
    page = (out / "report.html").read_text()
    assert page.count("<img") == 2
    assert "torn" in page


def test_a_patients_name_is_in_the_hospitals_own_file_and_nowhere_else(
    simcrop: Callable, segmenter_folder: Path, scans: Path, tmp_path: Path
) -> None:
    ran = simcrop("segment-predict", segmenter_folder, scans, "--out", tmp_path / "out")
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    holding = [p.name for p in files if b"zebrafinch" in p.read_bytes().lower()]
    assert holding == ["series.seg.dcm"]
    assert "zebrafinch" not in (ran.out + ran.err + " ".join(map(str, files))).lower()


def test_a_job_that_was_killed_goes_on_and_ends_the_same(
    simcrop: Callable,
    segmenter_folder: Path,
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    words = ("segment-predict", segmenter_folder, scans, "--out")
    assert simcrop(*words, whole).code == 1

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(task, "write_seg", killed)
        assert simcrop(*words, out).code == 130
    assert sorted(p.name for p in (out / "masks").iterdir()) == [
        "a-b__ct.json",
        "a-b__ct.nii.gz",
        "a-b__ct.png",
    ]
    assert "--resume continues it" in simcrop(*words, out).refusal
    done = (out / "masks/a-b__ct.json").stat().st_mtime_ns
    (out / "masks/.series.nii.gz.host-1.tmp").write_bytes(b"half")
    assert simcrop(*words, out, "--resume").code == 1
    assert (out / "masks/a-b__ct.json").stat().st_mtime_ns == done
    assert content(out) == content(whole)
    marked: list[object] = []
    monkeypatch.setattr(task, "write_files", marked.append)
    assert simcrop(*words, out, "--resume").code == 1
    assert marked == []
    assert content(out) == content(whole)


def test_a_scan_that_was_mended_is_marked_by_resume(
    simcrop: Callable, segmenter_folder: Path, scans: Path, tmp_path: Path, chests: Chests
) -> None:
    words = ("segment-predict", segmenter_folder, scans, "--out", tmp_path / "out")
    assert simcrop(*words).code == 1
    chests["nifti"](scans / "torn.nii.gz", chests["hu"](3))
    assert simcrop(*words, "--resume").code == 0
    assert json.loads((tmp_path / "out/metrics.json").read_text())["scans"] == 3
    assert len((tmp_path / "out/volumes.csv").read_text().splitlines()) == 4


def test_masks_that_go_beside_the_scans_are_no_scans(
    simcrop: Callable, segmenter_folder: Path, tmp_path: Path, chests: Chests
) -> None:
    for seed in (1, 2):
        chests["nifti"](tmp_path / f"raw/{seed}.nii", chests["hu"](seed))
    chests["nifti"](tmp_path / "raw/1_mask.nii.gz", np.zeros(chests["hu"](1).shape, np.uint8))
    words = ("segment-predict", segmenter_folder, tmp_path / "raw", "--out", tmp_path / "raw/out")
    assert simcrop(*words).code == 0
    ran = simcrop(*words, "--overwrite")
    assert (ran.code, "2 masks" in ran.out) == (0, True)


@pytest.mark.parametrize("kind", ["zip", "mixed", "disc"])
def test_whatever_dicom_comes_in_it_is_the_series_that_was_read(
    simcrop: Callable, segmenter_folder: Path, tmp_path: Path, chests: Chests, kind: str
) -> None:
    folder = chests["with_ids"](chests["dicom"](tmp_path / "raw/images", chests["hu"](2)))
    source, series = folder, {pydicom.dcmread(p).SeriesInstanceUID for p in folder.iterdir()}
    if kind == "zip":
        source = chests["zip"](tmp_path / "ct.zip", folder)
    elif kind == "mixed":  # a thinner one of the same examination, which loses
        study = pydicom.dcmread(next(folder.iterdir())).StudyInstanceUID
        chests["dicom"](folder, chests["hu"](4)[:, :, :6], series=generate_uid())
        for path in folder.iterdir():
            data = pydicom.dcmread(path)
            data.StudyInstanceUID = study
            data.save_as(path)
    else:
        (tmp_path / "raw/DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
        source = tmp_path / "raw/DICOMDIR"
    ran = simcrop("segment-predict", segmenter_folder, source, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    (path,) = (tmp_path / "out/masks").glob("*.seg.dcm")
    seg = pydicom.dcmread(path)
    assert {item.SeriesInstanceUID for item in seg.ReferencedSeriesSequence} == series
    labels = np.asarray(nib.load(next((tmp_path / "out/masks").glob("*.nii.gz"))).dataobj)
    assert int(seg.pixel_array.sum()) == np.count_nonzero(labels) > 0


def test_a_series_to_which_no_seg_can_refer_still_gets_its_mask(
    simcrop: Callable, segmenter_folder: Path, tmp_path: Path, chests: Chests
) -> None:
    folder = chests["dicom"](tmp_path / "series", chests["hu"](2))
    ran = simcrop("segment-predict", segmenter_folder, folder, "--out", tmp_path / "out")
    assert ran.code == 0
    assert "note: series: no DICOM SEG" in ran.out
    assert "StudyInstanceUID" in ran.out
    assert [p.name for p in (tmp_path / "out/masks").glob("series.*gz")] == ["series.nii.gz"]
    assert not list((tmp_path / "out/masks").glob("*.dcm"))


def test_one_scan_that_cannot_be_read_is_one_line_and_nothing_is_left(
    simcrop: Callable, segmenter_folder: Path, tmp_path: Path, chests: Chests
) -> None:
    folder = chests["with_ids"](chests["dicom"](tmp_path / "series", chests["hu"](2)))
    sorted(folder.iterdir())[5].unlink()
    ran = simcrop("segment-predict", segmenter_folder, folder, "--out", tmp_path / "out")
    assert "slice 6 missing" in ran.refusal
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    ran = simcrop("segment-predict", segmenter_folder, tmp_path / "empty", "--out", tmp_path / "out")
    assert "no scan found" in ran.refusal
    ran = simcrop("segment-predict", segmenter_folder, tmp_path / "gone.nii", "--out", tmp_path / "out")
    assert "no such file" in ran.refusal
    assert not (tmp_path / "out").exists()


def test_a_model_that_marks_nothing_is_one_line(
    simcrop: Callable, headless_folder: Path, scans: Path, tmp_path: Path
) -> None:
    ran = simcrop("segment-predict", headless_folder, scans, "--out", tmp_path / "out")
    assert "is a mae model, which marks no organs" in ran.refusal
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line_and_leaves_only_what_is_whole(
    simcrop: Callable,
    segmenter_folder: Path,
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from simcrop.files.whole import StoreError

    out, words = tmp_path / "out", ("segment-predict", segmenter_folder, scans, "--out", tmp_path / "out")

    def full(path: Path, _: bytes) -> None:
        raise StoreError("disk-full", f"{path}: the disk is full or a quota is reached")

    with monkeypatch.context() as patched:
        patched.setattr(task, "write_whole", full)  # the pictures', after the first mask
        ran = simcrop(*words)
    assert ran.code == 2
    assert ran.err.splitlines()[-1].startswith(f"error: {out}/masks/a-b__ct.png: the disk is full")
    assert not (out / "masks").exists()
    shutil.rmtree(out, ignore_errors=True)
    assert simcrop(*words).code == 1


def test_masks_are_there_until_the_first_of_those_that_replace_them(
    simcrop: Callable, segmenter_folder: Path, scans: Path, tmp_path: Path, chests: Chests
) -> None:
    out, whole = tmp_path / "out", {}
    words = ("segment-predict", segmenter_folder, scans, "--out", out)
    assert simcrop(*words).code == 1
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for path in [path for path in scans.rglob("*") if path.is_file()]:
        whole[path] = path.read_bytes()
        path.write_bytes(whole[path][: len(whole[path]) // 2])
    ran = simcrop(*words, "--overwrite")
    assert ran.code == 2
    assert "none of 3 scans could be marked" in ran.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    for path, content in whole.items():
        path.write_bytes(content)
    chests["nifti"](scans / "a b/ct.nii.gz", chests["hu"](3))
    assert simcrop(*words, "--overwrite").code == 1
    assert {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == {
        path.relative_to(out) for path in before
    }
