"""Cohorts of pseudonyms: nothing in them names a person or a path, and the same key gives the same names."""

import errno
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.ingest.merge import merge
from simcrop.data.ingest.pseudonyms import KEY, Pseudonyms, new_key, read_key, save_key, without_names
from simcrop.data.ingest.shards import Shard
from simcrop.data.ingest.source import RawSource
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError

NAMES = ("zebrafinch", "quilla", "wombat", "ward7", "marsupial")


@pytest.fixture
def raw(
    tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path], lungs: np.ndarray
) -> Path:
    """Scans whose paths name people: two sound, a twin of one, one empty, one broken; a mask that is sound and one that
    is not; a row without a scan.
    """
    root = tmp_path / "ward7"
    save(root / "Zebrafinch_Quilla/marsupial.nii.gz", scan(1))
    save(root / "Zebrafinch_Quilla/again.nii.gz", scan(2))
    save(root / "wombat/twin.nii.gz", scan(1))
    save(root / "Zebrafinch_Quilla/marsupial_mask.nii.gz", lungs)
    save(root / "wombat/twin_mask.nii.gz", lungs[1:])
    (root / "wombat/void.nii.gz").write_bytes(b"")
    save(root / "wombat/torn.nii.gz", scan(4)).write_bytes(b"torn")
    (root / "reports.csv").write_text(
        "id,findings,patient\nZebrafinch_Quilla__marsupial,A nodule.,Quilla Zebrafinch\nwombat99,Nothing.,wombat\n"
    )
    return root


def everything(folder: Path) -> str:
    """All names and all content, Parquet unpacked, in lower case; but not the key."""
    parts = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != KEY):
        parts.append(str(path.relative_to(folder)))
        parts.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":
            parts.append(str(pl.read_parquet(path).to_dicts()))
    return "\n".join(parts).lower()


def test_no_name_and_no_path_remains(raw: Path, tmp_path: Path) -> None:
    result = ingest(raw, "folder", tmp_path / "c", pseudonymise=True)
    assert (result.taken, result.refused) == (3, 4)
    text = everything(tmp_path / "c")
    assert [name for name in (*NAMES, str(tmp_path).lower()) if name in text] == []
    assert "a nodule." in text
    assert list(open_cohort(tmp_path / "c").verify()) == []


def test_the_names_would_be_found_if_they_were_there(raw: Path, tmp_path: Path) -> None:
    ingest(raw, "folder", tmp_path / "c")
    assert all(name in everything(tmp_path / "c") for name in NAMES)


def test_only_the_names_differ(raw: Path, tmp_path: Path) -> None:
    ingest(raw, "folder", tmp_path / "plain")
    ingest(raw, "folder", tmp_path / "c", pseudonymise=True)
    key, plain, cohort = (
        read_key(tmp_path / "c"),
        open_cohort(tmp_path / "plain"),
        open_cohort(tmp_path / "c"),
    )
    assert key is not None
    by_id = {study.id: study for study in cohort}
    for study in plain:
        renamed = by_id[key.of("id", study.id)]
        assert (renamed.checksum, renamed.findings, renamed.split) == (
            study.checksum,
            study.findings,
            study.split,
        )
        assert renamed.patient == key.of("patient", study.patient)
        np.testing.assert_array_equal(renamed.read(), study.read())
        assert renamed.source_mask_checksum == study.source_mask_checksum
    reasons = [sorted(c.ledger["reason"].to_list()) for c in (plain, cohort)]
    assert reasons[0] == reasons[1]
    duplicates = cohort.ledger.filter(pl.col("sentence").str.contains("same voxels as"))
    assert duplicates.height == 1
    assert duplicates["sentence"][0].split()[-1] in by_id


def test_key_is_for_its_owner_alone_and_gives_the_same_names_again(raw: Path, tmp_path: Path) -> None:
    ingest(raw, "folder", tmp_path / "a", pseudonymise=True)
    assert stat.S_IMODE((tmp_path / "a" / KEY).stat().st_mode) == 0o600
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / KEY, tmp_path / "b" / KEY)
    for name in "bd":
        ingest(raw, "folder", tmp_path / name, pseudonymise=True)
    a, b, d = (open_cohort(tmp_path / name).index for name in "abd")
    assert a.equals(b)
    assert not set(a["id"]) & set(d["id"])
    assert not set(a["patient"]) & set(d["patient"])


def test_ingest_continues_with_its_key_and_not_without(raw: Path, tmp_path: Path) -> None:
    ingest(raw, "folder", tmp_path / "c", pseudonymise=True)
    assert ingest(raw, "folder", tmp_path / "c", pseudonymise=True).resumed == 2
    with pytest.raises(SimcropError, match="pseudonyms"):
        ingest(raw, "folder", tmp_path / "c")
    (tmp_path / "c" / KEY).unlink()
    with pytest.raises(SimcropError, match=KEY) as caught:
        ingest(raw, "folder", tmp_path / "c", pseudonymise=True)
    assert caught.value.reason == "lost-key"
    assert len(open_cohort(tmp_path / "c")) == 3


def test_shards_share_one_key_and_merge_into_the_same_cohort(
    raw: Path, tmp_path: Path, content: Callable[[Path], dict[str, object]]
) -> None:
    for index in (1, 2):
        ingest(raw, "folder", tmp_path / "c", shard=Shard(index, 2), pseudonymise=True)
    (tmp_path / "one").mkdir()
    shutil.copy(tmp_path / "c" / KEY, tmp_path / "one" / KEY)
    ingest(raw, "folder", tmp_path / "one", pseudonymise=True)
    with pytest.raises(
        SimcropError, match=r"say where the raw scans are.* SOURCE --layout folder --merge --out"
    ):
        merge(tmp_path / "c")
    with pytest.raises(SimcropError, match="source"):
        merge(tmp_path / "c", RawSource(tmp_path, "folder"))
    merge(tmp_path / "c", RawSource(raw, "folder"))
    assert content(tmp_path / "c") == content(tmp_path / "one")


def test_what_a_merge_advises_works_for_a_layout_that_is_named(simcrop: Callable, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "c"
    assert simcrop("phantom", raw, "--layout", "ct-rate", "--patients", 2).code == 0
    ingested = simcrop("ingest", raw, "--layout", "ct-rate", "--out", out, "--shard", "1/1", "--pseudonymise")
    assert ingested.code == 0
    advice = simcrop("ingest", "--merge", out).refusal.partition("simcrop ingest ")[2]
    assert "--layout ct-rate" in advice
    assert simcrop("ingest", *(str(raw) if word == "SOURCE" else word for word in advice.split())).code == 0


@pytest.mark.parametrize("words", ["", "zz", "ab12"])
def test_key_that_is_none_is_refused(raw: Path, tmp_path: Path, words: str) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / KEY).write_text(words)
    with pytest.raises(SimcropError) as caught:
        ingest(raw, "folder", tmp_path / "c", pseudonymise=True)
    assert caught.value.reason == "bad-key"


def test_split_of_our_own_is_the_same_under_pseudonyms() -> None:
    from simcrop.data.layouts.raw import Listing
    from simcrop.data.split import split_by_patient

    split = split_by_patient(["ann", "bob"])
    hidden = Pseudonyms(b"s" * 32).listing(Listing((), split=split)).split
    assert hidden is not None
    assert list(hidden.parts.values()) == list(split.parts.values())
    assert hidden.hash != split.hash
    assert json.dumps(hidden.parts).count("ann") == 0


def test_notes_lose_what_headers_say_and_words_of_the_path() -> None:
    notes = ("no report", "taken of 2 CT series: THORAX for Quilla", "like Wombat-12")
    assert without_names(notes, ["/data/wombat_a/x.nii"]) == ("no report", "taken of 2 CT series")


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links_keeps_the_key_of_who_was_first(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", Mock(side_effect=OSError(code, "no hard links here")))
    first, second = new_key(), new_key()
    assert save_key(tmp_path / "c", first) == first
    assert save_key(tmp_path / "c", second) == first
    assert [path.name for path in (tmp_path / "c").iterdir()] == [KEY]
    assert stat.S_IMODE((tmp_path / "c" / KEY).stat().st_mode) == 0o600


def test_a_full_disk_is_said_where_the_key_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(SimcropError, match="the disk is full"):
        save_key(tmp_path / "c", new_key())
    assert list((tmp_path / "c").iterdir()) == []
