"""Shards of one ingest, merged: what a single process would have written, and refusals in one line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.ingest.merge import merge
from simcrop.data.ingest.shards import Shard
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError

Content = Callable[[Path], dict[str, object]]


@pytest.fixture
def raw(source: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path]) -> Path:
    """Seven scans, one of them a twin, one that is no CT, three masks, one of them empty, and a row without a scan."""
    save(source / "patient7/twin.nii.gz", scan(2))
    save(source / "patient7/twin_mask.nii.gz", np.zeros_like(scan(2)))
    save(source / "patient8/zeros.nii.gz", np.zeros((9, 7, 5), np.int16))
    with (source / "reports.csv").open("a") as table:
        table.write("patient99,Nothing.,,train,\n")
    return source


def shard(raw: Path, out: Path, index: int, count: int = 3, **more: object) -> None:
    ingest(raw, "folder", out, shard=Shard(index, count), **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("count", [1, 3, 11])  # of 11 some hold nothing
def test_merged_shards_are_the_cohort_of_one_process(
    raw: Path, tmp_path: Path, content: Content, count: int
) -> None:
    ingest(raw, "folder", tmp_path / "one")
    for index in range(count, 0, -1):
        shard(raw, tmp_path / "c", index, count)
    merged = merge(tmp_path / "c")
    assert (merged.taken, merged.refused) == (6, 3)
    assert content(tmp_path / "c") == content(tmp_path / "one")
    assert not (tmp_path / "c/shards").exists()
    assert (tmp_path / "c/ingest.jsonl").read_bytes() == (tmp_path / "one/ingest.jsonl").read_bytes()
    assert list(open_cohort(tmp_path / "c").verify()) == []


def test_a_merged_cohort_goes_on_as_one(
    raw: Path, tmp_path: Path, save: Callable[..., Path], scan: Callable[..., np.ndarray]
) -> None:
    for index in (1, 2):
        shard(raw, tmp_path / "c", index, 2)
    merge(tmp_path / "c")
    save(raw / "patient9/new.nii.gz", scan(9))
    again = ingest(raw, "folder", tmp_path / "c")
    assert (again.taken, again.resumed) == (7, 5)  # the scan whose mask was refused is tried again


def test_shards_are_no_cohort_before_they_are_merged(raw: Path, tmp_path: Path) -> None:
    shard(raw, tmp_path / "c", 1)
    with pytest.raises(SimcropError, match="join them with --merge"):
        ingest(raw, "folder", tmp_path / "c")
    with pytest.raises(SimcropError, match="shard 2/3 is missing"):
        merge(tmp_path / "c")
    assert not (tmp_path / "c/ingest.jsonl").exists()


def test_unfinished_shard_is_named(raw: Path, tmp_path: Path) -> None:
    class CutError(RuntimeError):
        """Stands for a job array's time limit."""

    def cut(*_: object) -> None:
        raise CutError

    with pytest.raises(CutError):
        shard(raw, tmp_path / "c", 1, 1, progress=cut)
    with pytest.raises(SimcropError, match=r"shard 1/1 lacks 6 of its scans.*run it again") as caught:
        merge(tmp_path / "c")
    assert caught.value.reason == "unfinished-shard"
    shard(raw, tmp_path / "c", 1, 1)
    assert merge(tmp_path / "c").taken == 6


def test_scan_that_changed_after_its_shard_is_not_merged(
    raw: Path, tmp_path: Path, save: Callable[..., Path], scan: Callable[..., np.ndarray]
) -> None:
    for index in (1, 2):
        shard(raw, tmp_path / "c", index, 2)
    save(raw / "patient1/ct.nii.gz", scan(33))
    with pytest.raises(SimcropError, match="lacks 1 of its scans, or they have changed"):
        merge(tmp_path / "c")


def test_shards_of_other_settings_are_not_merged(raw: Path, tmp_path: Path) -> None:
    shard(raw, tmp_path / "c", 1, 2)
    shard(raw, tmp_path / "c", 2, 2, spacing_mm=(4.0, 5.0, 6.0))
    with pytest.raises(SimcropError, match="spacing_mm") as caught:
        merge(tmp_path / "c")
    assert caught.value.reason == "other-settings"


def test_shard_that_is_still_written_is_busy(raw: Path, tmp_path: Path) -> None:
    def early(*_: object) -> None:
        with pytest.raises(SimcropError) as caught:
            merge(tmp_path / "c")
        assert caught.value.reason == "busy"

    shard(raw, tmp_path / "c", 1, 1, progress=early)


@pytest.mark.parametrize("stop", ["move_volumes", "write_tables", "rmtree"])
def test_interrupted_merge_is_run_again(
    raw: Path, tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    ingest(raw, "folder", tmp_path / "one")
    for index in (1, 2):
        shard(raw, tmp_path / "c", index, 2)
    left = [3]

    def replace_three(self: Path, target: Path, real: Callable = Path.replace) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(self, target)

    def remove_one_journal(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            next(path.rglob("ingest.jsonl")).unlink()
            raise KeyboardInterrupt

    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if stop == "move_volumes":
            patch.setattr(Path, "replace", replace_three)
        elif stop == "write_tables":
            patch.setattr("simcrop.data.ingest.tables.write_tables", refuse)
        else:
            patch.setattr(shutil, "rmtree", remove_one_journal)
        with pytest.raises(KeyboardInterrupt):
            merge(tmp_path / "c")
    again = merge(tmp_path / "c")
    assert (again.taken, again.refused) == (6, 3)
    assert content(tmp_path / "c") == content(tmp_path / "one")
    assert {p.name for p in (tmp_path / "c").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}
