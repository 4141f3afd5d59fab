"""Shares of an ingest: disjoint, together whole, and by the ids alone."""

from pathlib import Path

import pytest

from simcrop.data.ingest.shards import Shard, find_shards, parse_shard
from simcrop.errors import SimcropError

IDS = [f"train_{i}_a_1" for i in range(97)]


def test_every_scan_falls_into_one_share() -> None:
    for id in IDS:
        assert sum(Shard(i, 7).holds(id) for i in range(1, 8)) == 1
    counts = [sum(map(Shard(i, 7).holds, IDS)) for i in range(1, 8)]
    assert min(counts) > 0
    assert all(map(Shard(1, 1).holds, IDS))


def test_shares_stay_as_they_are_from_version_to_version() -> None:
    assert [i for i in range(12) if Shard(2, 5).holds(f"train_{i}_a_1")] == [1, 6, 9]


def test_a_share_is_written_as_job_arrays_write_it() -> None:
    assert parse_shard("3/8") == Shard(3, 8)
    assert Shard(3, 8).folder(Path("c")) == Path("c/shards/3-of-8")


@pytest.mark.parametrize("text", ["3", "3/", "/8", "0/8", "9/8", "a/b", "1/0", "-1/8", "1/8/9", "²/8"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(SimcropError, match="expected i/n") as caught:
        parse_shard(text)
    assert caught.value.reason == "bad-setting"


@pytest.mark.parametrize(
    ("names", "reason", "words"),
    [
        ((), "no-shards", "--shard i/n"),
        (("1-of-3", "3-of-3"), "missing-shard", "shard 2/3 is missing"),
        (("1-of-1", "1-of-2", "2-of-2"), "mixed-shards", "of 1 and of 2"),
        (("1-of-1", "slurm-12.out"), "no-shard", "slurm-12.out: is no shard"),
    ],
)
def test_what_cannot_be_merged_is_said(
    tmp_path: Path, names: tuple[str, ...], reason: str, words: str
) -> None:
    for name in names:
        (tmp_path / "shards" / name).mkdir(parents=True)
    with pytest.raises(SimcropError, match=words) as caught:
        find_shards(tmp_path)
    assert caught.value.reason == reason
