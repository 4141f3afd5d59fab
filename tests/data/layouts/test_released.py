"""Splits as asked for: released lists read as they are, with what is wrong in them said; our own by patient."""

import json
from collections import Counter
from pathlib import Path

import pytest

from simcrop.data.layouts import Listing, ListingOptions, list_studies
from simcrop.data.layouts.cc_ccii import scan_on_list
from simcrop.data.layouts.luna16 import CLASSES
from simcrop.data.layouts.released import listed_name, read_lists
from simcrop.data.split import split_by_patient
from simcrop.errors import SimcropError

OWN, RELEASED = ListingOptions(split="own"), ListingOptions(split="released")


def put(root: Path, place: str, text: str = "") -> None:
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(text)


def splits(listing: Listing) -> dict[str, str]:
    return {study.id: study.split for study in listing.studies}


@pytest.fixture
def cc_ccii(tmp_path: Path) -> Path:
    """Three patients of one class: the first with two scans, on different lists."""
    for place in ("1/10", "1/11", "2/20", "3/30"):
        put(tmp_path, f"NCP/{place}/0000.png")
    put(tmp_path, "Normal/4/10/0000.png")
    put(tmp_path, "train_list.csv", "img_list,label\n10.nii.gz,2\n10.nii.gz,0\n20.nii.gz,2\n")
    put(tmp_path, "val_list.csv", "img_list,label\n11.nii.gz,2\n99.nii.gz,1\n")
    put(tmp_path, "test_list.csv", "img_list,label\n11.nii.gz,2\n")
    return tmp_path


def test_cc_ccii_is_split_anew_unless_its_lists_are_asked_for(cc_ccii: Path) -> None:
    ours = list_studies("cc-ccii", cc_ccii)
    assert ours.split_kind == "own"
    assert ours.split is not None
    assert splits(ours) == {s.id: ours.split.parts[s.patient] for s in ours.studies}
    assert list_studies("cc-ccii", cc_ccii, OWN) == ours
    theirs = list_studies("cc-ccii", cc_ccii, RELEASED)
    assert (theirs.split_kind, theirs.split) == ("released", None)
    assert splits(theirs) == {
        "NCP-1-10": "train",
        "NCP-1-11": "test",
        "NCP-2-20": "train",
        "NCP-3-30": "unlisted",
        "Normal-4-10": "train",
    }


def test_what_is_wrong_with_released_lists_is_said(cc_ccii: Path) -> None:
    listing = list_studies("cc-ccii", cc_ccii, RELEASED)
    notes = {study.id: study.notes[1:] for study in listing.studies}
    sides = "the released split has its patient on several sides, as 1 of 4 patients"
    assert notes == {
        "NCP-1-10": (sides,),
        "NCP-1-11": ("on several released lists: test, valid", sides),
        "NCP-2-20": (),
        "NCP-3-30": ("on no released list",),
        "Normal-4-10": (),
    }
    assert [(r.name, r.reason) for r in listing.refusals] == [("CP-99", "no-volume")]


def test_lists_that_are_absent_or_unsound_are_one_line(cc_ccii: Path) -> None:
    put(cc_ccii, "test_list.csv", "img_list,label\n11.nii.gz,7\n")
    with pytest.raises(SimcropError, match="something else than 0, 1 or 2"):
        list_studies("cc-ccii", cc_ccii, RELEASED)
    put(cc_ccii, "test_list.csv", "name,label\n11.nii.gz,2\n")
    with pytest.raises(SimcropError, match="img_list, image_id"):
        list_studies("cc-ccii", cc_ccii, RELEASED)
    for part in ("train", "val", "test"):
        (cc_ccii / f"{part}_list.csv").unlink()
    with pytest.raises(SimcropError, match=r"expected train_list\.csv") as caught:
        list_studies("cc-ccii", cc_ccii, RELEASED)
    assert caught.value.reason == "missing-file"


def test_luna16_is_split_by_its_subsets_or_by_lists_beside_them(tmp_path: Path) -> None:
    for subset in (0, 8, 9):
        put(tmp_path, f"subset{subset}/1.2.{subset}.mhd")
    folds = {"1.2.0": "train", "1.2.8": "valid", "1.2.9": "test"}
    for options in (ListingOptions(), RELEASED):
        listing = list_studies("luna16", tmp_path, options)
        assert (splits(listing), listing.split_kind) == (folds, "released")
    put(tmp_path, "train_list.csv", "image_id,label\n1.2.9.nii.gz,1\n1.2.0.nii.gz,0\n")
    put(tmp_path, "test_list.csv", "image_id,label\n1.2.8.nii.gz,1\n")
    assert splits(list_studies("luna16", tmp_path)) == folds
    assert splits(list_studies("luna16", tmp_path, RELEASED)) == {
        "1.2.0": "train",
        "1.2.8": "test",
        "1.2.9": "train",
    }
    assert list_studies("luna16", tmp_path, RELEASED).classes == CLASSES  # lists place scans, no more


def test_the_parts_of_btcv_are_released_and_ours_can_be_asked_for(tmp_path: Path) -> None:
    names = [f"btcv_{n:03d}" for n in range(1, 31)]
    for name in names:
        put(tmp_path, f"{name}.nii.gz")
    entries = [f"{name}.nii.gz" for name in names]
    put(tmp_path, "dataset.json", json.dumps({"training": entries[:24], "validation": entries[24:]}))
    theirs = list_studies("btcv", tmp_path, RELEASED)
    assert theirs == list_studies("btcv", tmp_path)
    assert Counter(splits(theirs).values()) == {"train": 24, "valid": 6}
    ours = list_studies("btcv", tmp_path, OWN)
    assert (ours.split_kind, ours.split) == ("own", split_by_patient(names))
    assert ours.split is not None
    assert splits(ours) == ours.split.parts
    assert len(set(ours.split.parts.values())) == 3


def test_tables_with_a_patient_on_two_sides_say_so(tmp_path: Path) -> None:
    head = (
        "NoteAcc_DEID,MRN_DEID,final_spacing\n"
        + "trn00001,m7,\nval00002,m7,\ntst00003,m8,\ntrn00004,m9,\ntrn00005,m9,\n"
    )
    put(tmp_path, "CT_Scan_Metadata_Complete_5.csv", head)
    for name in ("trn00001", "val00002", "tst00003", "trn00004", "trn00005"):
        put(tmp_path, f"{name}.npz")
    listing = list_studies("rad-chestct", tmp_path)
    assert listing.split_kind == "released"
    assert {study.id for study in listing.studies if "1 of 3 patients" in study.notes[-1]} == {
        "trn00001",
        "val00002",
    }
    ours = list_studies("rad-chestct", tmp_path, OWN)
    parts = {study.id: study.split for study in ours.studies}
    assert (parts["trn00001"], parts["trn00004"]) == (parts["val00002"], parts["trn00005"])
    assert not any("several sides" in note for study in ours.studies for note in study.notes)


def test_own_scans_have_the_split_of_their_table_or_none(tmp_path: Path) -> None:
    put(tmp_path, "a/ct.nii.gz")
    put(tmp_path, "b/ct.nii.gz")
    assert list_studies("folder", tmp_path).split_kind == "none"
    with pytest.raises(SimcropError, match="no table has a column split"):
        list_studies("folder", tmp_path, RELEASED)
    put(tmp_path, "reports.csv", "id,findings,split\na__ct,Dry.,test\nb__ct,Wet.,\n")
    for options in (ListingOptions(), RELEASED):
        listing = list_studies("folder", tmp_path, options)
        assert (splits(listing), listing.split_kind) == ({"a__ct": "test", "b__ct": "train"}, "table")
    ours = list_studies("folder", tmp_path, OWN)
    assert ours.split == split_by_patient(["a", "b"])
    assert ours.split_kind == "own"


def test_another_word_for_a_split_is_an_error() -> None:
    with pytest.raises(SimcropError, match="expected own or released"):
        ListingOptions(split="theirs")


def test_the_real_lists_are_read_whole(tmp_path: Path, real_data: Path) -> None:
    for name, count, name_of in (
        ("ccccii", 2899, scan_on_list),
        ("luna16", 621, lambda _, row: listed_name(row)),
    ):
        root = tmp_path / name
        root.mkdir()
        (root / "train_list.csv").symlink_to(real_data / name / "train_list.csv")
        parts = read_lists(root, name_of)
        assert len(parts) == count
        assert set(map(tuple, parts.values())) == {("train",)}
    assert "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192" in parts
