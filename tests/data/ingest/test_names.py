"""Names that are no UTF-8 text, as from an old Windows share: a line in the ledger each, and the rest goes on."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.layouts import list_studies
from simcrop.data.layouts.written_paths import with_written_paths
from simcrop.data.store.cohort import open_cohort

LATIN = b"M\xfcller"


def below(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


@pytest.fixture
def raw(tmp_path: Path, scan: Callable[..., Any], save: Callable[..., Path]) -> Path:
    """A scan with a sound name, one below a Latin-1 folder, one with such a name itself, and a file of no format."""
    save(tmp_path / "raw" / "good" / "ct.nii.gz", scan(0))
    save(below(tmp_path / "raw", LATIN) / "ct.nii.gz", scan(1))
    save(below(tmp_path / "raw", b"sc\xffan.nii.gz"), scan(2))
    below(tmp_path / "raw", b"x\xff.npy").write_bytes(b"none")
    return tmp_path / "raw"


@pytest.mark.parametrize("pseudonymise", [False, True])
def test_a_name_that_no_table_can_hold_is_refused_and_the_rest_is_taken(
    raw: Path, tmp_path: Path, pseudonymise: bool
) -> None:
    result = ingest(raw, "folder", tmp_path / "c", pseudonymise=pseudonymise)
    assert (result.taken, result.refused, result.left) == (1, 3, "1 .npy")
    cohort = open_cohort(tmp_path / "c")
    assert len(cohort) == 1
    refused = cohort.ledger.filter(pl.col("reason") == "name-not-utf8")
    assert len(refused) == 2
    if not pseudonymise:
        assert refused["path"].to_list() == [f"{raw}/M\\udcfcller/ct.nii.gz", f"{raw}/sc\\udcffan.nii.gz"]
        assert all("rename it, and ingest again" in sentence for sentence in refused["sentence"])
        assert f"{raw}/x\\udcff.npy" in cohort.ledger["path"].to_list()


def test_after_renaming_it_is_taken(raw: Path, tmp_path: Path) -> None:
    ingest(raw, "folder", tmp_path / "c")
    below(raw, LATIN).rename(raw / "Müller")
    result = ingest(raw, "folder", tmp_path / "c")
    assert (result.taken, result.refused, result.resumed) == (2, 2, 1)
    assert str(raw / "Müller" / "ct.nii.gz") in open_cohort(tmp_path / "c").index["source_path"].to_list()


def test_a_mask_that_cannot_be_named_does_not_cost_its_scan(
    raw: Path,
) -> None:
    listing, mask = list_studies("folder", raw), below(raw, b"sc\xffan.nii.gz")
    (study,) = listing.studies
    found = with_written_paths(replace(listing, studies=(replace(study, mask=mask),), refusals=()))
    assert [one.mask for one in found.studies] == [None]
    assert [(one.name, one.reason) for one in found.refusals] == [(f"{study.id} mask", "name-not-utf8")]
