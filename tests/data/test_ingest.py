"""Ingest on small scans of our own: what is stored, what is refused and why, and what a killed run leaves behind."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from simcrop.data.cohort import open_cohort
from simcrop.data.ingest import ingest, prepare
from simcrop.data.preprocess import InputSpec, preprocess, resample
from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError

SHAPE = (29, 23, 17)


def scan(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Air round a soft body with lungs, int16 HU, different for each seed."""
    hu = np.full(shape, -1000.0)
    hu[4:-4, 4:-4] = 40
    hu[7:12, 7:-7] = -850
    return (hu + np.random.default_rng(seed).normal(0, 15, shape)).astype(np.int16)


def save(path: Path, hu: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(hu, np.diag([-2.0, -2.5, 4.0, 1.0]) if affine is None else affine).to_filename(path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for i in range(5):
        save(tmp_path / f"raw/patient{i}/ct.nii.gz", scan(i))
    (tmp_path / "raw/reports.csv").write_text(
        "id,findings,impression,split,label:Emphysema\n"
        "patient0__ct,A nodule. No effusion.,Nodule.,train,1\n"
        "patient1__ct,Clear lungs.,,valid,\n"
    )
    return tmp_path / "raw"


def content(cohort: Path) -> dict[str, object]:
    """Everything in a cohort that must not depend on how it was made."""
    volumes = {p.name: p.read_bytes() for p in sorted((cohort / "volumes").iterdir())}
    tables = {name: pl.read_parquet(cohort / f"{name}.parquet").to_dicts() for name in ("studies", "ledger")}
    raw = {p.name: p.read_bytes() for p in cohort.iterdir() if p.is_file() and p.name != "ingest.jsonl"}
    return {"volumes": volumes, **tables, **raw}


def test_stored_scan_is_the_resampled_one_to_half_a_unit(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    result = ingest(source, "folder", tmp_path / "c", progress=lambda *step: seen.append(step))
    assert (result.taken, result.refused, result.resumed) == (5, 0, 0)
    assert seen == [(i + 1, 5, f"patient{i}__ct") for i in range(5)]
    study = open_cohort(tmp_path / "c")[3]
    expected = resample(read_volume(source / "patient3/ct.nii.gz"), (1.5, 1.5, 3.0))
    assert study.shape == expected.shape
    assert np.abs(study.read() - expected.hu).max() <= 0.5
    np.testing.assert_array_equal(study.affine, expected.affine)
    assert study.source_shape == SHAPE


def test_spacing_is_a_setting(source: Path, tmp_path: Path) -> None:
    ingest(source / "patient0/ct.nii.gz", "folder", tmp_path / "c", spacing_mm=(4.0, 5.0, 6.0))
    cohort = open_cohort(tmp_path / "c")
    assert cohort.spacing_mm == (4.0, 5.0, 6.0)
    np.testing.assert_allclose(np.diag(cohort[0].affine), [4, 5, 6, 1])


def test_prepare_is_read_then_preprocess(source: Path) -> None:
    path = source / "patient0/ct.nii.gz"
    spec = InputSpec(shape=(20, 24, 10))
    tensor, placement = prepare(path, spec)
    expected, place = preprocess(read_volume(path), spec)
    assert tensor.equal(expected)
    assert placement.start == place.start


def test_workers_do_not_change_the_result(source: Path, tmp_path: Path) -> None:
    save(source / "bad/ct.nii.gz", np.zeros(SHAPE, np.int16))
    one = ingest(source, "folder", tmp_path / "one")
    two = ingest(source, "folder", tmp_path / "two", workers=2)
    assert (one.taken, one.refused) == (two.taken, two.refused) == (5, 1)
    assert content(tmp_path / "one") == content(tmp_path / "two")


KILLED = """
import os, signal, sys
from simcrop.data import ingest
def stop(done, total, id):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    ingest.ingest(sys.argv[1], "folder", sys.argv[2], workers=int(sys.argv[3]), progress=stop)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_ingest_continues_to_the_same_result(source: Path, tmp_path: Path, workers: int) -> None:
    whole, broken, script = tmp_path / "whole", tmp_path / "broken", tmp_path / "killed.py"
    ingest(source, "folder", whole)
    script.write_text(KILLED)
    done = subprocess.run([sys.executable, str(script), str(source), str(broken), str(workers)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(SimcropError, match="run the same ingest again") as caught:
        open_cohort(broken)
    assert caught.value.reason == "unfinished"
    time.sleep(0.5)  # orphaned workers see their parent die

    with (broken / "ingest.jsonl").open("ab") as journal:
        journal.write(b'{"id": "patient4__ct", "status": "ta')
    (broken / "volumes/.patient4__ct.b2nd.77.tmp").write_bytes(b"half")
    before = {p.name: p.stat().st_mtime_ns for p in (broken / "volumes").glob("*.b2nd")}
    result = ingest(source, "folder", broken)
    assert (result.taken, result.resumed) == (5, 2)
    assert content(broken) == content(whole)
    kept = [name for name, at in before.items() if (broken / "volumes" / name).stat().st_mtime_ns == at]
    assert len(kept) == 2


def test_workers_die_with_their_parent(source: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(source), str(tmp_path / "c"), "2"]
    killed = subprocess.Popen(command, start_new_session=True)
    assert killed.wait(60) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(killed.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a worker outlived its parent")


def test_full_disk_stops_with_one_line_and_can_continue(source: Path, tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from simcrop.data.ingest import ingest\n"
        "from simcrop.errors import SimcropError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))\n"
        "try:\n    ingest(sys.argv[1], 'folder', sys.argv[2])\n"
        "except SimcropError as error:\n    sys.exit(f'{error.reason}: {error.sentence}')\n"
    )
    command = [sys.executable, "-c", script, str(source), str(tmp_path / "c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("disk-full: ")
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "c/volumes").iterdir()) == []
    assert ingest(source, "folder", tmp_path / "c").taken == 5


def test_target_that_cannot_be_written_is_one_line(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SimcropError, match="cannot be written") as caught:
        ingest(source, "folder", tmp_path / "file/c")
    assert caught.value.reason == "write-failed"


def test_each_bad_scan_is_one_line_of_the_ledger_and_the_good_one_goes_on(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    good = save(raw / "good.nii.gz", scan(0))
    (raw / "empty.nii.gz").write_bytes(b"")
    (raw / "truncated.nii.gz").write_bytes(good.read_bytes()[:3000])
    save(raw / "flat.nii.gz", scan(1)[:, :, 3])
    save(raw / "film.nii.gz", np.stack([scan(1), scan(2)], axis=-1))
    holes = scan(1).astype(np.float32)
    holes[9, 8, 7] = np.nan
    save(raw / "nan.nii.gz", holes)
    save(raw / "zeros.nii.gz", np.zeros(SHAPE, np.int16))
    save(raw / "mask.nii.gz", (scan(1) > 0).astype(np.int16))
    header = bytearray(gzip.decompress(good.read_bytes()))
    header[252:256] = (0).to_bytes(2, "little") + (2).to_bytes(2, "little")  # no qform, an aligned sform
    header[280:328] = np.zeros(12, "<f4").tobytes()
    (raw / "singular.nii.gz").write_bytes(gzip.compress(bytes(header)))

    result = ingest(raw, "folder", tmp_path / "c")
    assert (result.taken, result.refused) == (1, 8)
    ledger = open_cohort(tmp_path / "c").ledger
    reasons = dict(ledger.select("id", "reason").iter_rows())
    assert reasons == {
        "empty": "empty-file",
        "film": "not-3d",
        "flat": "not-3d",
        "good": "",
        "mask": "not-ct",
        "nan": "not-finite",
        "singular": "singular-affine",
        "truncated": "truncated-file",
        "zeros": "constant",
    }
    refused = ledger.filter(pl.col("status") == "refused")
    assert all(row["path"] in row["sentence"] and "\n" not in row["sentence"] for row in refused.to_dicts())
    assert [p.name for p in (tmp_path / "c/volumes").iterdir()] == ["good.b2nd"]


def test_mended_scan_is_taken_the_next_time(source: Path, tmp_path: Path) -> None:
    bad = source / "patient2/ct.nii.gz"
    bad.write_bytes(b"")
    assert ingest(source, "folder", tmp_path / "c").refused == 1
    save(bad, scan(2))
    result = ingest(source, "folder", tmp_path / "c")
    assert (result.taken, result.refused, result.resumed) == (5, 0, 4)


def test_exchanged_scan_is_read_again(source: Path, tmp_path: Path) -> None:
    ingest(source, "folder", tmp_path / "c")
    before = open_cohort(tmp_path / "c")[1].checksum
    save(source / "patient1/ct.nii.gz", scan(77))
    assert ingest(source, "folder", tmp_path / "c").resumed == 4
    cohort = open_cohort(tmp_path / "c")
    assert cohort[1].checksum != before
    assert list(cohort.verify()) == []


def test_same_voxels_under_two_names_are_noted(tmp_path: Path) -> None:
    save(tmp_path / "raw/a.nii.gz", scan(3))
    save(tmp_path / "raw/b.nii.gz", scan(3))
    ingest(tmp_path / "raw", "folder", tmp_path / "c")
    first, second = open_cohort(tmp_path / "c").ledger["sentence"]
    assert "same voxels" not in first
    assert "same voxels as a" in second


def test_cohort_of_refusals_is_written_and_says_so(tmp_path: Path) -> None:
    save(tmp_path / "raw/zeros.nii.gz", np.zeros(SHAPE, np.int16))
    result = ingest(tmp_path / "raw", "folder", tmp_path / "c")
    assert (result.taken, result.refused) == (0, 1)
    assert "nothing could be taken" in result.sentence
    assert len(open_cohort(tmp_path / "c")) == 0


def test_other_settings_are_refused_unless_overwritten(source: Path, tmp_path: Path) -> None:
    ingest(source, "folder", tmp_path / "c")
    with pytest.raises(SimcropError, match="spacing_mm") as caught:
        ingest(source, "folder", tmp_path / "c", spacing_mm=(3.0, 3.0, 3.0))
    assert caught.value.reason == "other-settings"
    result = ingest(source, "folder", tmp_path / "c", spacing_mm=(3.0, 3.0, 3.0), overwrite=True)
    assert (result.taken, result.resumed) == (5, 0)
    assert open_cohort(tmp_path / "c").spacing_mm == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_with_other_files_is_never_touched(source: Path, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/thesis.txt").write_text("years of work")
    with pytest.raises(SimcropError) as caught:
        ingest(source, "folder", tmp_path / "c", overwrite=overwrite)
    assert caught.value.reason == "not-empty"
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["thesis.txt"]


def test_overwriting_leaves_foreign_files_in_a_cohort_alone(source: Path, tmp_path: Path) -> None:
    ingest(source, "folder", tmp_path / "c")
    (tmp_path / "c/volumes/notes.txt").write_text("mine")
    ingest(source, "folder", tmp_path / "c", overwrite=True)
    assert (tmp_path / "c/volumes/notes.txt").read_text() == "mine"


def test_two_ingests_into_one_folder_do_not_mix(source: Path, tmp_path: Path) -> None:
    def second(*_: object) -> None:
        with pytest.raises(SimcropError) as caught:
            ingest(source, "folder", tmp_path / "c")
        assert caught.value.reason == "busy"

    assert ingest(source, "folder", tmp_path / "c", progress=second).taken == 5


def test_reports_reach_the_tables_and_never_the_journal_or_ledger(source: Path, tmp_path: Path) -> None:
    ingest(source, "folder", tmp_path / "c")
    index = open_cohort(tmp_path / "c").index
    assert index["sentences"].to_list() == [2, 1, 0, 0, 0]
    assert index["label:Emphysema"].to_list() == [1, None, None, None, None]
    assert index["findings"][0] == "A nodule. No effusion."
    assert "nodule" not in (tmp_path / "c/ingest.jsonl").read_text().lower()
    assert not any("nodule" in s.lower() for s in open_cohort(tmp_path / "c").ledger["sentence"])
    assert json.loads((tmp_path / "c/cohort.json").read_text())["counts"] == {
        "taken": 5,
        "refused": 0,
        "reports": 2,
    }


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"spacing_mm": (1.0, 0.0, 1.0)}])
def test_impossible_settings_are_refused(source: Path, tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(SimcropError, match="need workers"):
        ingest(source, "folder", tmp_path / "c", **wrong)  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "c").exists()
