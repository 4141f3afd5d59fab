"""Ingest on small scans of our own: what is stored, what is refused and why, and what a killed run leaves behind."""

import errno
import fcntl
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.data.ingest import ingest, prepare
from simcrop.data.ingest.journal import open_journal
from simcrop.data.preprocess import InputSpec, preprocess, resample
from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError

SHAPE = (29, 23, 17)


def test_stored_scan_is_the_resampled_one_to_half_a_unit(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    result = ingest(
        source, "folder", tmp_path / "c", progress=lambda i, n, record: seen.append((i, n, record["id"]))
    )
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


def test_raw_codec_stores_the_same_voxels_and_is_a_setting(source: Path, tmp_path: Path) -> None:
    for codec in ("lz4", "raw"):
        ingest(source, "folder", tmp_path / f"c-{codec}", codec=codec)
    plain, packed = open_cohort(tmp_path / "c-raw"), open_cohort(tmp_path / "c-lz4")
    assert plain.codec == "raw"
    assert {p.suffix for p in (tmp_path / "c-raw/volumes").iterdir()} == {".npy"}
    assert plain.index.equals(packed.index)
    np.testing.assert_array_equal(plain[2].read(), packed[2].read())
    with pytest.raises(SimcropError, match="codec = raw, asked for lz4"):
        ingest(source, "folder", tmp_path / "c-raw")
    ingest(source, "folder", tmp_path / "c-raw", overwrite=True)
    assert {p.suffix for p in (tmp_path / "c-raw/volumes").iterdir()} == {".b2nd"}


def test_cohort_of_an_older_format_is_not_continued(source: Path, tmp_path: Path) -> None:
    ingest(source, "folder", tmp_path / "c")
    journal = tmp_path / "c/ingest.jsonl"
    first, *rest = journal.read_text().splitlines(keepends=True)
    journal.write_text(json.dumps(json.loads(first) | {"format": 1}) + "\n" + "".join(rest))
    with pytest.raises(SimcropError, match="format 1, this simcrop writes 3; take another folder"):
        ingest(source, "folder", tmp_path / "c")
    assert ingest(source, "folder", tmp_path / "c", overwrite=True).taken == 5


def test_prepare_is_read_then_preprocess(source: Path) -> None:
    path = source / "patient0/ct.nii.gz"
    spec = InputSpec(shape=(20, 24, 10))
    tensor, placement = prepare(path, spec)
    expected, place = preprocess(read_volume(path), spec)
    assert tensor.equal(expected)
    assert placement.start == place.start


def test_workers_do_not_change_the_result(
    source: Path, tmp_path: Path, save: Callable[..., Path], content: Callable[[Path], dict[str, object]]
) -> None:
    save(source / "bad/ct.nii.gz", np.zeros(SHAPE, np.int16))
    one = ingest(source, "folder", tmp_path / "one")
    two = ingest(source, "folder", tmp_path / "two", workers=2)
    assert (one.taken, one.refused) == (two.taken, two.refused) == (5, 1)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_each_bad_scan_is_one_line_of_the_ledger_and_the_good_one_goes_on(
    tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path]
) -> None:
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


def test_what_no_reader_takes_is_in_the_ledger_and_in_a_line_at_the_end(
    source: Path, tmp_path: Path, simcrop: Callable
) -> None:
    (source / "patient1/ct.npy").write_bytes(b"\x93NUMPY" + bytes(100))
    (source / "patient1/ct.nii.bz2").write_bytes(b"BZh9" + bytes(100))
    (source / "Reports.xlsx").write_bytes(b"PK" + bytes(100))
    ran = simcrop("ingest", source, "--out", tmp_path / "c", "--spacing", "6,5,9")
    ledger = tmp_path / "c/ledger.parquet"
    assert (ran.code, ran.out) == (1, f"5 taken, 3 refused: {ledger}\n")
    line = f"not read: 1 .nii.bz2, 1 .npy, 1 Reports.xlsx; {ledger} says of each what helps"
    assert ran.err.splitlines()[-1] == line
    rows = open_cohort(tmp_path / "c").ledger.filter(pl.col("status") == "refused").to_dicts()
    assert {row["id"]: row["reason"] for row in rows} == {
        "patient1/ct.nii.bz2": "unknown-format",
        "patient1/ct.npy": "unknown-format",
        "Reports.xlsx": "stray-report",
    }
    assert all(row["path"] in row["sentence"] for row in rows)
    again = simcrop("ingest", source, "--out", tmp_path / "c", "--spacing", "6,5,9")
    assert (again.code, again.err.splitlines()[-1]) == (1, line)
    inside = source / "cohort"
    for refused in (3, 3):  # what simcrop itself has written is no matter
        ran = simcrop("ingest", source, "--out", inside, "--spacing", "6,5,9")
        assert ran.out.startswith(f"5 taken, {refused} refused")


def test_mended_scan_is_taken_the_next_time(
    source: Path, tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path]
) -> None:
    bad = source / "patient2/ct.nii.gz"
    bad.write_bytes(b"")
    assert ingest(source, "folder", tmp_path / "c").refused == 1
    save(bad, scan(2))
    result = ingest(source, "folder", tmp_path / "c")
    assert (result.taken, result.refused, result.resumed) == (5, 0, 4)


def test_exchanged_scan_is_read_again(
    source: Path, tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path]
) -> None:
    ingest(source, "folder", tmp_path / "c")
    before = open_cohort(tmp_path / "c")[1].checksum
    save(source / "patient1/ct.nii.gz", scan(77))
    assert ingest(source, "folder", tmp_path / "c").resumed == 4
    cohort = open_cohort(tmp_path / "c")
    assert cohort[1].checksum != before
    assert list(cohort.verify()) == []


def test_same_voxels_under_two_names_are_noted(
    tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path]
) -> None:
    save(tmp_path / "raw/a.nii.gz", scan(3))
    save(tmp_path / "raw/b.nii.gz", scan(3))
    ingest(tmp_path / "raw", "folder", tmp_path / "c")
    first, second = open_cohort(tmp_path / "c").ledger["sentence"]
    assert "same voxels" not in first
    assert "same voxels as a" in second


def test_cohort_of_refusals_is_written_and_says_so(tmp_path: Path, save: Callable[..., Path]) -> None:
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


@pytest.mark.parametrize("no_locks", [None, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_two_ingests_into_one_folder_do_not_mix_even_where_the_file_system_has_no_locks(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_locks: int | None
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(no_locks, "no locks here")

    if no_locks is not None:
        monkeypatch.setattr(fcntl, "flock", refuse)
    one = source / "patient0"

    def second(*_: object) -> None:
        with pytest.raises(SimcropError) as caught:
            ingest(one, "folder", tmp_path / "c")
        assert caught.value.reason == "busy"

    assert ingest(one, "folder", tmp_path / "c", progress=second).taken == 1
    assert not (tmp_path / "c/ingest.lock").exists()
    assert ingest(one, "folder", tmp_path / "c", overwrite=True).taken == 1


def test_journal_waits_for_the_disk_once_a_second_and_at_its_end_but_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    clock = [100.0]
    monkeypatch.setattr("simcrop.data.ingest.journal.os.fsync", waits.append)
    monkeypatch.setattr("simcrop.data.ingest.journal.time.monotonic", lambda: clock[0])
    journal = open_journal(tmp_path, {"format": 2})
    assert len(waits) == 1  # whose folder it is must be known
    for number in range(50):
        clock[0] += 0.05
        journal.append({"id": f"scan{number}"})
        # What a killed process leaves: the line is the system's already.
        assert len((tmp_path / "ingest.jsonl").read_text().splitlines()) == number + 2
    assert len(waits) == 3
    journal.append({"id": "last"})
    journal.close()
    assert len(waits) == 4


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
        "masks": 2,
    }


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"spacing_mm": (1.0, 0.0, 1.0)}])
def test_impossible_settings_are_refused(source: Path, tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(SimcropError, match="need"):
        ingest(source, "folder", tmp_path / "c", **wrong)  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "c").exists()
