"""ReXGroundingCT's lists become studies; what is listed wrongly is refused by itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.data.layouts import Listing, list_studies
from simcrop.errors import SimcropError

Row = dict[str, Any]


def row(name: str, *texts: str, **other: object) -> Row:
    keys = [str(i) for i in range(len(texts))]
    return {
        "name": f"{name}.nii.gz",
        "findings": dict(zip(keys, texts, strict=True)),
        "categories": dict.fromkeys(keys, "2d"),
        **other,
    }


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Empty files where scans and masks would lie; a listing reads none of them."""

    def make(tables: dict[str, object], *files: str) -> Path:
        for name, table in tables.items():
            (tmp_path / name).write_text(json.dumps(table))
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_bytes(b"")
        return tmp_path

    return make


def scan(name: str, tree: str = "train_fixed") -> str:
    return f"dataset/{tree}/{name}.nii.gz"


def listed(root: Path) -> Listing:
    return list_studies("rexgrounding", root)


def test_sentences_categories_splits_and_masks_are_taken(tree: Callable[..., Path]) -> None:
    table = {
        "train": [row("train_1_a_1", "A nodule in the\n left lung", "Emphysema.", pixels={"0": 7, "1": 9})],
        "val": [row("valid_2_b_1", "A nodule.")],
        "test": [row("train_3_a_2", "A nodule.")],
    }
    names = ("train_1_a_1", "valid_2_b_1", "train_3_a_2")
    masks = [f"segmentations/{name}.nii.gz" for name in names[:2]]
    found = listed(tree({"dataset.json": table}, *map(scan, names), *masks))
    assert found.refusals == ()
    first, test, valid = found.studies
    assert [s.split for s in (first, test, valid)] == ["train", "test", "valid"]
    assert (first.patient, first.scan, first.findings) == (
        "train_1",
        "train_1_a",
        "A nodule in the left lung. Emphysema.",
    )
    assert [(f.text, f.category, f.complete, f.voxels) for f in first.marked] == [
        ("A nodule in the left lung", "2d", False, 7),
        ("Emphysema.", "2d", False, 9),
    ]
    assert valid.marked[0].complete
    assert test.marked[0].complete
    assert [s.mask and s.mask.parent.name for s in (first, test, valid)] == [
        "segmentations",
        None,
        "segmentations",
    ]
    assert "no mask of its findings" in test.notes
    assert "nodule" not in repr(first.marked)


def test_the_challenges_lists_count_where_both_files_have_one(tree: Callable[..., Path]) -> None:
    base = {
        "train": [row("train_1_a_1", "One.")],
        "val": [row("train_2_a_1", "Old.")],
        "test": [row("train_9_a_1", "Old.")],
    }
    challenge = {"val": [row("train_3_a_1", "New.")], "test": []}
    names = ("train_1_a_1", "train_2_a_1", "train_3_a_1")
    root = tree({"dataset.json": base, "MICCAI_challenge_dataset.json": challenge}, *map(scan, names))
    found = listed(root)
    assert {s.id: s.split for s in found.studies} == {"train_1_a_1": "train", "train_3_a_1": "valid"}
    assert found.refusals == ()


def test_a_repaired_scan_wins_over_its_raw_twin_and_other_twins_are_refused(
    tree: Callable[..., Path],
) -> None:
    table = {"train": [row("train_1_a_1", "One."), row("train_2_a_1", "Two.")]}
    files = (
        scan("train_1_a_1", "train"),
        scan("train_1_a_1"),
        "a/train_2_a_1.nii.gz",
        "b/train_2_a_1.nii.gz",
    )
    found = listed(tree({"dataset.json": table}, *files))
    assert "train_fixed" in found.studies[0].path.parts
    assert [r.reason for r in found.refusals] == ["duplicate-name"]


@pytest.mark.parametrize(
    ("bad", "reason", "words"),
    [
        (row("train_8_a_1", "One."), "no-volume", "there is no such scan"),
        (row("../../etc/passwd", "One."), "no-volume", "no such scan"),
        ({"findings": {"0": "One."}}, "no-volume", "lists .nii.gz"),
        (row("train_2_a_1"), "bad-json", 'findings wants {"0": text'),
        (row("train_2_a_1", "One.", findings={"1": "One."}), "bad-json", "findings wants"),
        (row("train_2_a_1", "One.", findings=["One."]), "bad-json", "findings wants"),
        (row("train_2_a_1", " "), "bad-json", "has no words"),
        (row("train_2_a_1", "One.", categories={}), "bad-json", "categories wants one of 1a"),
        (row("train_1_a_1", "One."), "duplicate-name", "twice"),
    ],
)
def test_a_bad_entry_costs_no_other(tree: Callable[..., Path], bad: Row, reason: str, words: str) -> None:
    table = {"train": [row("train_1_a_1", "One."), bad]}
    found = listed(tree({"dataset.json": table}, scan("train_1_a_1"), scan("train_2_a_1")))
    assert [study.id for study in found.studies] == ["train_1_a_1"]
    (refusal,) = found.refusals
    assert refusal.reason == reason
    assert words in refusal.sentence


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, "none of MICCAI_challenge_dataset.json, dataset.json"),
        ({"dataset.json": []}, "expected the lists train, val, test"),
        ({"dataset.json": {"training": []}}, "expected the lists train, val, test"),
        ({"dataset.json": {"val": {"a": 1}}}, "val is no list of scans"),
    ],
)
def test_a_tree_without_lists_is_refused(
    tree: Callable[..., Path], tables: dict[str, object], words: str
) -> None:
    with pytest.raises(SimcropError, match=words):
        listed(tree(tables, scan("train_1_a_1")))
