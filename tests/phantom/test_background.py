"""A cohort made from real scans: what is written, what is refused, and that it can be read again.

No axes or units but of the masks, `(x, y, z)` as the scans.
"""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.layouts import list_studies
from simcrop.data.layouts.drawn import INSERTED
from simcrop.errors import SimcropError
from simcrop.phantom import read_truth
from simcrop.phantom.real.background import write_background


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_scans_reports_and_truth_come_back_through_ingest(tmp_path: Path, chest: Path) -> None:
    out = tmp_path / "out"
    done = write_background(out, chest.parent.parent, 3, seed=4)
    assert (done.volumes, done.refused) == (3, ())
    listing = list_studies("folder", out)
    assert (listing.refusals, listing.made_by) == ((), INSERTED)
    assert [study.id for study in listing.studies] == [f"background_1__ct_{n}" for n in (1, 2, 3)]
    assert {study.patient for study in listing.studies} == {"background_1"}  # one person, however often
    truth = read_truth(out)
    for study in listing.studies:
        sentences = truth.of(study.id)
        assert sentences
        assert all(sentence.shows and not sentence.negated for sentence in sentences)
        assert study.findings.count(".") == len(sentences)
        mask, scan = (nib.load(path) for path in (truth.mask_path(study.id), study.path))
        assert isinstance(mask, nib.Nifti1Image)
        assert isinstance(scan, nib.Nifti1Image)
        np.testing.assert_array_equal(mask.affine, scan.affine)
        assert set(np.unique(mask.dataobj)) == {0, *(sentence.mask_value for sentence in sentences)}
    taken = ingest(out, "folder", tmp_path / "cohort", (6.0, 5.0, 11.0))
    assert (taken.taken, taken.refused) == (3, 0)


def test_nothing_of_the_name_of_a_source_reaches_the_output(tmp_path: Path, chest: Path) -> None:
    write_background(tmp_path / "out", chest.parent.parent, None, seed=4)
    for place, content in contents(tmp_path / "out").items():
        assert not any(word in place or word.encode() in content for word in ("Doe", "Jane", "thorax"))


def test_the_same_request_gives_the_same_bytes_on_any_number_of_processes(
    tmp_path: Path, chest: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "other")]
    for out, seed, workers in zip(folders, (4, 4, 5), (1, 2, 1), strict=True):
        write_background(out, chest.parent.parent, 2, seed, workers=workers)
    first, second, other = map(contents, folders)
    assert first == second
    assert first.keys() == other.keys()
    assert all(first[place] != other[place] for place in first if place.endswith(".nii.gz"))


def test_an_interrupted_call_goes_on_where_it_stopped(tmp_path: Path, chest: Path) -> None:
    out = tmp_path / "out"
    write_background(out, chest.parent.parent, 2, seed=4)
    whole = contents(out)
    kept = out / "background_1" / "ct_1.nii.gz"
    moment = kept.stat().st_mtime_ns
    (out / "truth" / "background_1__ct_2.jsonl").unlink()
    (out / "background_1" / "ct_2.nii.gz").unlink()
    write_background(out, chest.parent.parent, 2, seed=4)
    assert contents(out) == whole
    assert kept.stat().st_mtime_ns == moment


def test_what_cannot_be_used_is_named_and_the_rest_is_written(
    write_chest: Callable, tmp_path: Path, simcrop: Callable
) -> None:
    source = tmp_path / "scans"
    for name, keep in (("a.nii.gz", slice(0, 20)), ("b.nii.gz", slice(None))):
        write_chest(source / name, keep=keep)
    ran = simcrop("phantom", tmp_path / "out", "--background", source)
    assert (ran.code, ran.out) == (1, f"1 volumes in {tmp_path / 'out'}\n")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"refused: {source / 'a.nii.gz'}: ")
    assert not (tmp_path / "out" / "background_1").exists()
    assert simcrop("phantom", tmp_path / "o2", "--background", source / "a.nii.gz").code == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--layout", "btcv"), "leave --layout and --size out"),
        (("--size", "full"), "leave --layout and --size out"),
        (("--patients", "0"), "at least 1 patient"),
        (("--difficulty", "hard"), "easy, real"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, chest: Path, simcrop: Callable, words: tuple[str, str], reason: str
) -> None:
    ran = simcrop("phantom", tmp_path / "out", "--background", chest, *words)
    assert reason in ran.refusal
    assert not (tmp_path / "out").exists()


def test_an_output_within_the_source_is_refused(tmp_path: Path, chest: Path) -> None:
    with pytest.raises(SimcropError, match="lies within"):
        write_background(chest.parent / "out", chest.parent, None, seed=0)
    assert not (chest.parent / "out").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SimcropError, match="no scan found"):
        write_background(tmp_path / "out", empty, None, seed=0)
