"""What an ingest says at its end: counts and kinds, and no name."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from simcrop.data.ingest import IngestResult
from simcrop.data.store.cohort import open_cohort
from simcrop.tasks.cohorts.ingested import lines_of, lines_of_tables


def test_what_came_of_it_is_said_by_kinds_and_without_names(
    source: Path, tmp_path: Path, simcrop: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "patient1/torn.nii.gz").write_bytes(b"torn")
    (source / "patient1/locked").mkdir()
    (source / "patient1/locked/1.dcm").write_bytes(b"x")
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    ran = simcrop("ingest", source, "--out", tmp_path / "c", "--spacing", "6,5,9")
    reasons = Counter(
        open_cohort(tmp_path / "c").ledger.filter(pl.col("status") == "refused")["reason"].to_list()
    )
    kinds = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    assert sum(reasons.values()) >= 1
    assert f"refused: {kinds}; {tmp_path / 'c/ledger.parquet'} says of each what helps" in ran.err
    assert "without a report: 3 of 5 scans" in ran.err
    assert "torn" not in ran.err
    assert "still stored" not in ran.err
    taken = open_cohort(tmp_path / "c").index["source_path"].to_list()
    Path(taken[-1]).unlink()
    again = simcrop("ingest", source, "--out", tmp_path / "c", "--spacing", "6,5,9")
    assert "still stored: 1 scans that the source no longer holds" in again.err


def test_scans_to_segment_are_not_missed_a_report(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["a"], "status": ["ok"], "reason": [""]}).write_parquet(tmp_path / "ledger.parquet")
    (tmp_path / "volumes").mkdir()
    bare = {"id": ["a", "b"], "findings": ["", ""], "impression": ["", ""]}
    pl.DataFrame(bare).write_parquet(tmp_path / "studies.parquet")
    assert lines_of_tables(tmp_path, "") == ["without a report: 2 of 2 scans"]
    (tmp_path / "masks").mkdir()
    assert lines_of_tables(tmp_path, "") == []
    pl.DataFrame(bare | {"findings": ["Clear.", ""]}).write_parquet(tmp_path / "studies.parquet")
    assert lines_of_tables(tmp_path, "") == ["without a report: 1 of 2 scans"]


def test_splits_that_need_a_look_are_said_and_no_column_where_names_are_hidden(tmp_path: Path) -> None:
    result = IngestResult(tmp_path, 3, 0, 0, unread=("mass", "smith"), sides=2, odd_splits="8 train, 2 fold1")
    _, named = lines_of(result, tmp_path, shard=True, named=True)
    _, hidden = lines_of(result, tmp_path, shard=True, named=False)
    assert named[0] == "not read: columns of 0 and 1 (mass, smith); a label's column is label:NAME"
    assert hidden[0] == "not read: 2 columns of 0 and 1; a label's column is label:NAME"
    splits = "splits: 8 train, 2 fold1; known are train, valid, test, others are taken where named"
    assert named[1] == hidden[1] == splits
    assert named[2].startswith("patients on several sides of the stated split: 2; ")
