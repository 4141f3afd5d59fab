"""`--rescale`: what a user knows of numbers whose file does not say it, for `ingest`, `embed` and `ground`.

Axes: x, y, z with 29, 23, 17 voxels.
"""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pydicom
import pytest

from simcrop.data.hounsfield import Hint
from simcrop.data.ingest.source import RawSource, source_of
from simcrop.data.layouts import ListingOptions
from simcrop.data.layouts.raw import RawStudy, with_rescale
from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError
from simcrop.tasks.rescale import parse_rescale

SHAPE, AFFINE = (29, 23, 17), np.diag([-2.0, -2.5, 4.0, 1.0])
TOLD = ("--rescale", "1,-1024")


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    """Air round a soft body with lungs; no number below -1024."""
    values = np.full(SHAPE, -960.0)
    values[4:-4, 4:-4] = 40
    values[7:12, 7:-7] = -850
    return (values + np.random.default_rng(4).integers(-40, 40, SHAPE)).astype(np.int16)


@pytest.fixture
def raw(tmp_path: Path, hu: np.ndarray, chests: dict[str, Callable[..., Path]]) -> Path:
    """A scan in HU, and two as raw numbers: a NIfTI without a word on its place, and slices without a rescale."""
    folder = tmp_path / "raw"
    chests["nifti"](folder / "hu.nii.gz", hu, AFFINE)
    plain = nib.Nifti1Image((hu + 1024).astype(np.int16), None)
    plain.header.set_zooms((2.0, 2.5, 4.0))
    nib.save(plain, folder / "plain.nii.gz")
    for path in chests["dicom"](folder / "slices", (hu + 1024).astype(np.int16)).iterdir():
        data = pydicom.dcmread(path)
        del data.RescaleSlope, data.RescaleIntercept
        data.save_as(path)
    return folder


def ledger(cohort: Path) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in pl.read_parquet(cohort / "ledger.parquet").to_dicts()}


def test_the_refusal_names_the_option_and_the_option_mends_it(
    simcrop: Callable, raw: Path, hu: np.ndarray, tmp_path: Path
) -> None:
    assert simcrop("ingest", raw, "--out", tmp_path / "without").code == 1
    before = ledger(tmp_path / "without")
    for scan in ("plain", "slices"):
        assert before[scan]["reason"] == "not-ct"
        assert "by --rescale 1,-1024" in before[scan]["sentence"]

    assert simcrop("ingest", raw, "--out", tmp_path / "with", *TOLD).code == 0
    after = ledger(tmp_path / "with")
    assert "the rescale given (1, -1024) was not needed" in after["hu"]["sentence"]
    for scan in ("plain", "slices"):
        assert "the rescale given by the user (slope 1, intercept -1024) gives HU" in after[scan]["sentence"]
    for path in (raw / "plain.nii.gz", raw / "slices"):
        np.testing.assert_array_equal(read_volume(path, Hint(1.0, -1024.0, source="given")).hu, hu)


def test_a_given_rescale_moves_no_scan_in_space(raw: Path) -> None:
    raised = Hint(1.0, -1024.0, source="given")
    with pytest.raises(SimcropError):
        read_volume(raw / "plain.nii.gz")
    placed = read_volume(raw / "plain.nii.gz", raised)
    assert placed.axis_codes == "RAS"
    assert not any("table" in note for note in placed.notes)


def test_a_rescale_that_makes_no_ct_is_refused_with_both_that_were_tried(raw: Path) -> None:
    with pytest.raises(SimcropError, match=r"rescale \(1, 0\) or the given one \(1, 3000\)"):
        read_volume(raw / "plain.nii.gz", Hint(1.0, 3000.0, source="given"))


def test_embed_and_ground_take_it_too(simcrop: Callable, line, raw: Path, tmp_path: Path) -> None:
    for name, scan, words in (("a", "slices", TOLD), ("b", "hu.nii.gz", TOLD)):
        done = simcrop("embed", line.run, raw / scan, "--out", tmp_path / name, *words)
        assert done.code == 0
        assert ("--rescale was not needed" in done.err) == (scan == "hu.nii.gz")
    one, two = (pl.read_parquet(tmp_path / n / "embeddings.parquet")["embedding"].to_numpy() for n in "ab")
    assert np.linalg.norm(one - two) < 1e-3 * np.linalg.norm(one)

    ask = ("ground", line.run, raw / "slices", "--sentence", "A nodule.", "--out", tmp_path / "heat")
    refused = simcrop(*ask)
    assert refused.code == 2
    assert "--rescale 1,-1024" in refused.err
    assert simcrop(*ask, *TOLD).code == 0


def test_a_cohort_needs_none(simcrop: Callable, line, tmp_path: Path) -> None:
    refused = simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", *TOLD)
    assert refused.code == 2
    assert "--rescale is for `simcrop ingest`" in refused.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["1", "1,2,3", "1;-1024", "a,b", "0,-1024", "-1,0", "nan,0", "1,inf", ""])
def test_a_rescale_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SimcropError, match="--rescale") as caught:
        parse_rescale(text)
    assert caught.value.reason == "bad-setting"


def test_a_table_that_knows_a_scans_own_rescale_knows_better(tmp_path: Path) -> None:
    study = RawStudy("a", "a", "a", "train", tmp_path)
    assert with_rescale(study, (1.0, -1024.0)).hint == Hint(1.0, -1024.0, source="given")
    placed = RawStudy("a", "a", "a", "train", tmp_path, hint=Hint(1.0, 0.0, (1.0, 2.0, 3.0)))
    assert with_rescale(placed, (1.0, -1024.0)).hint == Hint(1.0, -1024.0, (1.0, 2.0, 3.0), source="given")
    known = RawStudy("a", "a", "a", "train", tmp_path, hint=Hint(1.0, -8192.0))
    assert with_rescale(known, (1.0, -1024.0)) == known


@pytest.mark.parametrize("rescale", [None, (1.0, -1024.0)])
def test_a_journal_keeps_it_and_one_without_is_as_before(
    tmp_path: Path, rescale: tuple[float, float] | None
) -> None:
    source = RawSource(tmp_path, "folder", ListingOptions(rescale=rescale))
    settings = source.settings(None)
    assert ("rescale" in settings["options"]) == (rescale is not None)
    assert source_of(settings) == source
