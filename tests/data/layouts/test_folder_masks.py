"""Masks among own scans: what is a scan and what its mask, classes and lists in JSON, on files that are never read."""

import json
from pathlib import Path

import pytest

from simcrop.data.layouts import Listing, list_studies
from simcrop.errors import SimcropError

NAMES = {"0": "background", "2": "right lung", "1": "left lung"}


def put(root: Path, *places: str) -> None:
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(b"")


def masks(listing: Listing) -> dict[str, str | None]:
    return {study.id: study.mask and study.mask.name for study in listing.studies}


def test_a_mask_belongs_to_the_scan_beside_it_and_is_no_scan(tmp_path: Path) -> None:
    put(
        tmp_path, "a/ct.nii.gz", "a/ct_mask.nii.gz", "b/ct.nrrd", "b/CT.mha", "b/ct_MASK.mhd", "c/ct_mask.nii"
    )
    put(tmp_path, "d/mask.nii.gz", "e/ct.nii.gz")
    listing = list_studies("folder", tmp_path)
    assert masks(listing) == {
        "a__ct": "ct_mask.nii.gz",
        **{study.id: None for study in listing.studies if study.path.name == "CT.mha"},
        **{study.id: "ct_MASK.mhd" for study in listing.studies if study.path.name == "ct.nrrd"},
        "c__ct_mask": None,  # beside no scan of that name
        "d__mask": None,
        "e__ct": None,
    }
    assert listing.refusals == ()
    assert listing.classes is None


def test_a_folder_of_slices_has_its_mask_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "p1/series_mask.nii.gz")
    (tmp_path / "p1/series").mkdir()
    (tmp_path / "p1/series/1.dcm").write_bytes(b"\0" * 128 + b"DICM")
    for source in (tmp_path, tmp_path / "p1/series"):
        (study,) = list_studies("folder", source).studies
        assert (study.path, study.mask) == (tmp_path / "p1/series", tmp_path / "p1/series_mask.nii.gz")


def test_one_file_has_its_mask_and_classes_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "ct.nii.gz", "ct_mask.nrrd", "other.nii.gz")
    (tmp_path / "classes.json").write_text(json.dumps(NAMES))
    listing = list_studies("folder", tmp_path / "ct.nii.gz")
    assert masks(listing) == {"ct": "ct_mask.nrrd"}
    assert listing.classes == {1: "left lung", 2: "right lung"}


def test_a_second_mask_and_one_without_a_place_are_named(tmp_path: Path) -> None:
    put(tmp_path, "ct.nii.gz", "ct_mask.nii.gz", "ct_mask.nrrd", "ct7.nii.gz", "ct7_mask.npz")
    listing = list_studies("folder", tmp_path)
    assert masks(listing) == {"ct": "ct_mask.nii.gz", "ct7": None}
    assert [(r.name, r.reason) for r in listing.refusals] == [
        ("ct7_mask.npz", "duplicate-name"),
        ("ct_mask.nrrd", "duplicate-name"),
    ]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("[1, 2]", "found list"),
        ('{"1": "a", "2": "a"}', "two classes have one name"),
        ('{"0": "background"}', "no class beside the background"),
        ('{"-1": "a"}', "number from 0"),
        ('{"40000": "a"}', "number from 0"),
        ('{"1": ""}', "1 to 80 characters"),
        ('{"1": ["a"]}', "1 to 80 characters"),
        ('{"1": "a", "01": "b"}', "two names"),
        ('{"1": ', "not a sound JSON"),
    ],
)
def test_names_of_classes_that_cannot_be_are_one_line(tmp_path: Path, told: str, words: str) -> None:
    put(tmp_path, "ct.nii.gz", "ct_mask.nii.gz")
    (tmp_path / "classes.json").write_text(told)
    with pytest.raises(SimcropError, match=words) as caught:
        list_studies("folder", tmp_path)
    assert caught.value.reason == "bad-json"
    assert str(tmp_path / "classes.json") in caught.value.sentence
    (tmp_path / "ct_mask.nii.gz").unlink()
    assert masks(list_studies("folder", tmp_path)) == {"ct": None}  # without masks it is somebody else's file


def test_classes_may_be_told_name_first(tmp_path: Path) -> None:
    put(tmp_path, "ct.nii.gz", "ct_mask.nii.gz")
    (tmp_path / "classes.json").write_text('{"background": 0, "liver": 6, "spleen": 1}')
    assert list_studies("folder", tmp_path).classes == {1: "spleen", 6: "liver"}


FACTS = {
    "labels": NAMES,
    "training": [{"image": "imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
    "test": ["imagesTs/b.nii.gz", "imagesTs/gone.nii.gz"],
}


def test_a_json_in_a_folder_names_masks_classes_and_the_split(tmp_path: Path) -> None:
    put(
        tmp_path,
        "imagesTr/a.nii.gz",
        "labelsTr/a.nii.gz",
        "imagesTs/b.nii.gz",
        "more/c.nii.gz",
        "more/c_mask.nii",
    )
    (tmp_path / "dataset.json").write_text(json.dumps(FACTS))
    listing = list_studies("folder", tmp_path)
    assert masks(listing) == {"imagesTr__a": "a.nii.gz", "imagesTs__b": None, "more__c": "c_mask.nii"}
    assert [study.split for study in listing.studies] == ["train", "test", "train"]
    assert [refusal.reason for refusal in listing.refusals] == ["no-volume"]
    assert listing.classes == {1: "left lung", 2: "right lung"}
    (tmp_path / "classes.json").write_text('{"1": "lung"}')
    with pytest.raises(SimcropError, match=r"other classes than dataset\.json"):
        list_studies("folder", tmp_path)


def test_another_dataset_json_is_somebody_elses(tmp_path: Path) -> None:
    put(tmp_path, "ct.nii.gz")
    for other in ('{"name": "mine"}', "[1]", '{"training": "all"}'):
        (tmp_path / "dataset.json").write_text(other)
        assert masks(list_studies("folder", tmp_path)) == {"ct": None}


def test_the_layout_decathlon_lists_what_its_json_names_and_nothing_else(tmp_path: Path) -> None:
    put(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/b.nii.gz", "more/c.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps(FACTS))
    listing = list_studies("decathlon", tmp_path)
    assert masks(listing) == {"a": "a.nii.gz", "b": None}
    assert listing.classes == {1: "left lung", 2: "right lung"}


def test_a_folder_of_one_mask_for_each_class_is_one_row_and_no_scan(tmp_path: Path) -> None:
    classes = ("liver", "lung_upper_lobe_left", "aorta", "trachea")
    put(tmp_path, "p1/ct.nii.gz", *(f"p1/segmentations/{name}.nii.gz" for name in classes))
    put(tmp_path, "p2/liver.nii.gz", "p2/ct.nii.gz", "p3/aorta.nii.gz", "p3/liver.nii.gz")
    listing = list_studies("folder", tmp_path)
    names = {study.path.relative_to(tmp_path).as_posix() for study in listing.studies}
    assert names == {"p1/ct.nii.gz", "p2/liver.nii.gz", "p2/ct.nii.gz", "p3/aorta.nii.gz", "p3/liver.nii.gz"}
    (refusal,) = listing.refusals
    assert (refusal.name, refusal.reason) == ("p1/segmentations", "not-ct")
    assert "holds 4 masks of one class each" in refusal.sentence


NNUNET = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "left lung": 1, "lungs": [1, 2], "right lung": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


@pytest.mark.parametrize("layout", ["folder", "decathlon"])
def test_a_raw_data_set_of_nnunet_is_read_by_its_names(tmp_path: Path, layout: str) -> None:
    put(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "imagesTr/b_0001.nii.gz")
    put(tmp_path, "labelsTr/a.nii.gz", "labelsTr/b.nii.gz", "imagesTs/c_0000.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps(NNUNET))
    listing = list_studies(layout, tmp_path)
    found = {study.path.name: (study.mask and study.mask.name, study.split) for study in listing.studies}
    second = found.pop("b_0001.nii.gz", None)  # of a folder it is a scan like any other
    assert (second is not None) == (layout == "folder")
    assert found == {
        "a_0000.nii.gz": ("a.nii.gz", "train"),
        "b_0000.nii.gz": ("b.nii.gz", "train"),
        "c_0000.nii.gz": (None, "test"),
    }
    assert listing.classes == {1: "left lung", 2: "right lung"}
    assert len({study.patient for study in listing.studies}) == len(listing.studies)


def test_btcv_spells_abbreviations_out_and_knows_its_organs_where_the_json_does_not(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz")
    facts = {
        "training": ["a.nii.gz"],
        "labels": {"0": "background", "2": "rkid", "10": "veins", "5": "esophagus"},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    named = list_studies("btcv", tmp_path).classes
    assert named == {2: "right kidney", 5: "esophagus", 10: "portal and splenic veins"}
    del facts["labels"]
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    organs = list_studies("btcv", tmp_path).classes or {}
    assert (organs[2], organs[3], len(organs)) == ("right kidney", "left kidney", 13)
