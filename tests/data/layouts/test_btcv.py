"""BTCV's tree -> studies: the JSON is the split and names the masks; its paths stay below the root."""

import json
from pathlib import Path

import pytest

from simcrop.data.layouts import list_studies
from simcrop.errors import SimcropError


def put(root: Path, facts: object, files: tuple[str, ...] = (), name: str = "dataset.json") -> Path:
    for place in files:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(b"")
    path = root / name
    path.write_text(json.dumps(facts))
    return path


def pair(name: str) -> dict[str, str]:
    return {"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"}


def test_lists_are_splits_and_labels_are_masks(tmp_path: Path) -> None:
    files = (*pair("btcv_001").values(), *pair("btcv_035").values(), "imagesTs/btcv_061.nii.gz")
    facts = {
        "training": [{"image": "./imagesTr/btcv_001.nii.gz", "label": "labelsTr/btcv_001.nii.gz"}],
        "validation": [pair("btcv_035")],
        "test": ["imagesTs/btcv_061.nii.gz"],
    }
    put(tmp_path, facts, files)
    one, two, three = list_studies("btcv", tmp_path).studies
    assert [(s.id, s.split) for s in (one, two, three)] == [
        ("btcv_001", "train"),
        ("btcv_035", "valid"),
        ("btcv_061", "test"),
    ]
    assert one.mask == tmp_path / "labelsTr/btcv_001.nii.gz"
    assert three.mask is None
    assert "no label volume" in three.notes
    assert one.labels == {}


def test_absent_double_and_outside_volumes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.nii.gz").write_bytes(b"")
    root = tmp_path / "btcv"
    put_files = (*pair("a").values(), "imagesTr/c.nii.gz")
    root.mkdir()
    (root / "imagesTr").mkdir()
    (root / "imagesTr/link.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    facts = {
        "training": [pair("a"), pair("a"), pair("b"), "../elsewhere.nii.gz", "imagesTr/link.nii.gz"],
        "validation": [{"image": "imagesTr/c.nii.gz", "label": "labelsTr/c.nii.gz"}],
    }
    put(root, facts, put_files)
    listing = list_studies("btcv", root)
    assert [r.reason for r in listing.refusals] == [
        "duplicate-name",
        "no-volume",
        "unsafe-path",
        "unsafe-path",
    ]
    assert [(s.id, s.mask is None) for s in listing.studies] == [("a", False), ("c", True)]


@pytest.mark.parametrize(
    ("facts", "reason", "message"),
    [
        ([], "bad-json", "expected the lists"),
        ({"labels": {}}, "bad-json", "expected the lists"),
        ({"training": "all"}, "bad-json", "no list"),
        ({"training": [{"label": "x"}]}, "bad-json", "names no image"),
        ({"training": [{"image": "a.nii.gz", "label": 3}]}, "bad-json", "names no image"),
    ],
)
def test_an_unsound_json_is_one_line(tmp_path: Path, facts: object, reason: str, message: str) -> None:
    path = put(tmp_path, facts)
    with pytest.raises(SimcropError, match=message) as caught:
        list_studies("btcv", tmp_path)
    assert caught.value.reason == reason
    assert str(path) in caught.value.sentence


def test_json_cut_short_absent_or_one_of_several_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match=r"no dataset\.json"):
        list_studies("btcv", tmp_path)
    facts = {"training": [pair("a")]}
    path = put(tmp_path, facts, tuple(pair("a").values()), "dataset_0.json")
    assert len(list_studies("btcv", tmp_path).studies) == 1
    put(tmp_path, facts, name="dataset_1.json")
    with pytest.raises(SimcropError, match="expected one"):
        list_studies("btcv", tmp_path)
    path.rename(tmp_path / "dataset.json")
    (tmp_path / "dataset.json").write_text('{"training": [')
    with pytest.raises(SimcropError, match="not a sound JSON"):
        list_studies("btcv", tmp_path)
