"""What is left of scans that the source no longer holds: a withdrawn consent takes everything with it, when asked."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from simcrop.data.ingest import ingest
from simcrop.data.ingest.journal import Journal
from simcrop.data.store.cohort import open_cohort
from simcrop.tasks.cohorts.ingest import IngestOptions, ingest_as

KEPT = {
    "sentences/bank-0123-4567.safetensors",
    "sentences/index-0123-4567.safetensors",
    "sentences/split-0123.parquet",
    "sentences/0123-mean-64.vectors",
    "sentences/0123-mean-512-report.vectors",
    "sentences/.bank-0123-4567.safetensors.host-1.tmp",
    "features/0123.vectors",
    "features/0123.tokens",
    "features/0123.fits/lung.safetensors",
}
MM = (6.0, 5.0, 9.0)
THEIRS = {
    "sentences/notes.txt",
    "sentences/mine.parquet",
    "sentences/mine.vectors",
    "volumes/notes.txt",
    "features/mine.parquet",
}  # a user's own


@pytest.fixture
def cohort(source: Path, tmp_path: Path) -> Path:
    """Five scans, two with masks, of which one with a mask and one without are withdrawn."""
    ingest_as(source, tmp_path / "c", IngestOptions("folder", "6,5,9"))
    for name in KEPT | THEIRS:
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / name).write_text("a report")
    for i in (3, 4):
        (source / f"patient{i}/ct.nii.gz").unlink()
    (source / "patient3/ct_mask.nii.gz").unlink()
    return tmp_path / "c"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def said_of(cohort: Path) -> list[str]:
    return [json.loads(line).get("id") for line in (cohort / "ingest.jsonl").read_text().splitlines()]


def test_without_prune_all_stays(source: Path, cohort: Path) -> None:
    before = files(cohort)
    result = ingest(source, "folder", cohort, spacing_mm=MM)
    assert result.pruned == 0
    assert files(cohort) == before


def test_what_the_cohort_does_not_list_goes_and_what_is_not_ours_stays(source: Path, cohort: Path) -> None:
    before = files(cohort)
    result = ingest(source, "folder", cohort, spacing_mm=MM, prune=True)
    assert (result.taken, result.resumed, result.pruned) == (3, 3, 2)
    gone = {"volumes/patient3__ct.b2nd", "volumes/patient4__ct.b2nd"}
    gone |= {"masks/patient3__ct.b2nd", "source-masks/patient3__ct.b2nd"}
    assert before - files(cohort) == KEPT | gone
    assert said_of(cohort) == [None, "patient0__ct", "patient1__ct", "patient2__ct"]
    assert not (cohort / "features/0123.fits").exists()
    assert list(open_cohort(cohort).verify()) == []
    again = ingest(source, "folder", cohort, spacing_mm=MM, prune=True)
    assert (again.taken, again.resumed, again.pruned) == (3, 3, 0)


def test_stopped_between_it_is_done_by_the_next_call(
    source: Path, cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "keep", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(source, "folder", cohort, spacing_mm=MM, prune=True)
    assert "patient4__ct" in said_of(cohort)
    ingest(source, "folder", cohort, spacing_mm=MM, prune=True)
    assert said_of(cohort) == [None, "patient0__ct", "patient1__ct", "patient2__ct"]


def test_a_source_of_which_nothing_can_be_taken_removes_nothing(
    source: Path, cohort: Path, simcrop: Callable
) -> None:
    for path in source.rglob("ct.nii.gz"):
        path.write_bytes(b"torn")
    before = {name for name in files(cohort) if name.startswith(("volumes", "sentences", "features"))}
    ran = simcrop("ingest", source, "--out", cohort, "--spacing", "6,5,9", "--prune")
    assert "nothing was pruned, for nothing could be taken" in ran.err
    assert before <= files(cohort)


def test_the_count_is_said_and_no_name(source: Path, cohort: Path, simcrop: Callable) -> None:
    ran = simcrop("ingest", source, "--out", cohort, "--spacing", "6,5,9")
    assert "still stored: 2 scans that the source no longer holds" in ran.err
    assert "--prune removes them" in ran.err
    ran = simcrop("ingest", source, "--out", cohort, "--spacing", "6,5,9", "--prune")
    assert "pruned: 2 stored scans that the cohort does not list" in ran.err
    assert "patient3" not in ran.err
    assert "still stored" not in ran.err


def test_shards_are_merged_first(source: Path, tmp_path: Path, simcrop: Callable) -> None:
    for how in (["--shard", "1/2", "--out", tmp_path / "c"], ["--merge", "--out", tmp_path / "c"]):
        ran = simcrop("ingest", source, *how, "--prune")
        assert ran.code == 2
        assert "--prune: merge" in ran.err
        assert not (tmp_path / "c").exists()


def test_overwriting_leaves_no_text_of_the_old_cohort(source: Path, cohort: Path) -> None:
    ingest(source, "folder", cohort, spacing_mm=MM, overwrite=True)
    assert files(cohort) & KEPT == set()
    assert files(cohort) >= THEIRS
