"""LUNA16's tree -> studies: subsets, nodules, lungs; on toy trees, the real tables and one real scan."""

from pathlib import Path
from shutil import copy

import numpy as np
import pytest

from simcrop.data.layouts import list_studies
from simcrop.data.layouts.luna16 import Nodule, read_annotations
from simcrop.data.layouts.table import read_table
from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError

HEAD = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"


def put(root: Path, place: str, text: str = "") -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_subsets_are_the_split_and_the_table_is_the_label(tmp_path: Path) -> None:
    for subset in (0, 7, 8, 9):
        put(tmp_path, f"subset{subset}/1.2.{subset}.mhd")
    lungs = put(tmp_path, "seg-lungs-LUNA16/1.2.8.mhd")
    put(tmp_path, "CSVFILES/annotations.csv", f"{HEAD}1.2.0,1,2,3,4.5\n1.2.0,5,6,7,8\n1.2.9,-1,-2,-3,5\n")
    studies = list_studies("luna16", tmp_path).studies
    assert [s.id for s in studies] == ["1.2.0", "1.2.7", "1.2.8", "1.2.9"]
    assert [s.split for s in studies] == ["train", "train", "valid", "test"]
    assert [s.labels["Lung nodule"] for s in studies] == [1, 0, 0, 1]
    assert [s.mask for s in studies] == [None, None, lungs, None]


def test_without_the_table_nothing_is_known_of_nodules(tmp_path: Path) -> None:
    put(tmp_path, "subset3/1.2.mhd")
    (study,) = list_studies("luna16", tmp_path).studies
    assert study.labels == {"Lung nodule": None}
    assert "annotations.csv" in study.notes[1]


POINTS = "seriesuid,coordX,coordY,coordZ,class\n"


def test_candidates_are_counted_and_held_against_the_annotations(tmp_path: Path) -> None:
    for uid in ("1.2.0", "1.2.1", "1.2.2"):
        put(tmp_path, f"subset0/{uid}.mhd")
    put(tmp_path, "annotations.csv", f"{HEAD}1.2.0,1,2,3,4\n1.2.1,1,2,3,4\n")
    rows = "1.2.0,1,2,3,1\n1.2.0,5,6,7,0\n1.2.0,5,6,8,0\n1.2.1,1,2,3,0\n1.3,1,2,3,0\n"
    put(tmp_path, "CSVFILES/candidates_V2.csv", POINTS + rows)
    listing = list_studies("luna16", tmp_path)
    assert [s.labels["Lung nodule"] for s in listing.studies] == [1, 1, 0]
    assert [s.notes[1] for s in listing.studies] == [
        "3 candidates, 1 of them nodules",
        "1 candidates, 0 of them nodules, but annotations.csv disagrees",
        "0 candidates, 0 of them nodules",
    ]
    assert listing.refusals == ()


def test_candidates_alone_are_the_label(tmp_path: Path) -> None:
    for uid in ("1.2.0", "1.2.1"):
        put(tmp_path, f"subset0/{uid}.mhd")
    put(tmp_path, "candidates.csv", f"{POINTS}1.2.0,1,2,3,0\n1.2.1,1,2,3,1\n1.3,1,2,3,0\n")
    listing = list_studies("luna16", tmp_path)
    assert [s.labels["Lung nodule"] for s in listing.studies] == [0, 1]
    assert "the label is theirs" in listing.studies[0].notes[1]
    assert [(r.name, r.reason) for r in listing.refusals] == [("1.3", "no-volume")]
    put(tmp_path, "candidates.csv", f"{POINTS}1.2.0,1,2,3,0\n1.2.0,1,2,3,maybe\n")
    with pytest.raises(SimcropError, match="row 2 holds a class") as caught:
        list_studies("luna16", tmp_path)
    assert "maybe" not in caught.value.sentence


def test_strange_double_and_absent_series_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "subset0/1.2.mhd")
    put(tmp_path, "subset1/1.2.mhd")
    put(tmp_path, "subset1/scan.mhd")
    put(tmp_path, "annotations.csv", f"{HEAD}1.3,1,2,3,4\n")
    refusals = list_studies("luna16", tmp_path).refusals
    assert [(r.name, r.reason) for r in refusals] == [
        ("1.2", "duplicate-name"),
        ("scan", "bad-name"),
        ("1.3", "no-volume"),
    ]


@pytest.mark.parametrize(
    ("table", "reason", "message"),
    [
        ("seriesuid,coordX,coordY,coordZ\n1.2,1,2,3\n", "missing-columns", "diameter_mm"),
        (f"{HEAD}1.2,1,2,3,4\n1.2,1,two,3,4\n", "bad-csv", "row 2"),
        (f"{HEAD}1.2,1,nan,3,4\n", "bad-csv", "not finite"),
        (f"{HEAD}1.2,1,2,3\n", "bad-csv", "4 fields, expected 5"),
    ],
)
def test_an_unsound_table_is_one_line(tmp_path: Path, table: str, reason: str, message: str) -> None:
    put(tmp_path, "subset0/1.2.mhd")
    path = put(tmp_path, "annotations.csv", table)
    with pytest.raises(SimcropError, match=message) as caught:
        list_studies("luna16", tmp_path)
    assert caught.value.reason == reason
    assert str(path) in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_a_folder_without_subsets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="subset0 to subset9"):
        list_studies("luna16", tmp_path)


def test_real_annotations_are_the_labels_of_the_released_list(real_data: Path) -> None:
    nodules = read_annotations(real_data / "luna16/annotations.csv")
    assert sum(map(len, nodules.values())) == 1186
    assert len(nodules) == 601
    released = read_table(real_data / "luna16/train_list.csv", ("image_id", "label"))
    for row in released:
        assert (row["image_id"].removesuffix(".nii.gz") in nodules) == (row["label"] == "1")
    excluded = read_annotations(real_data / "luna16/annotations_excluded_head500.csv")
    assert {n.diameter_mm for found in excluded.values() for n in found} >= {-1.0}


def test_a_real_scan_lies_in_its_subset_with_its_nodule(tmp_path: Path, real_data: Path) -> None:
    (tmp_path / "subset0").mkdir()
    for path in (real_data / "ct/luna16_mhd").iterdir():
        copy(path, tmp_path / "subset0")
    uid = next((real_data / "ct/luna16_mhd").glob("*.mhd")).stem
    row = next(r for r in read_table(real_data / "luna16/annotations.csv") if r["seriesuid"] == uid)
    put(tmp_path, "annotations.csv", HEAD + ",".join(row.values()) + "\n")
    (study,) = list_studies("luna16", tmp_path).studies
    assert study.labels == {"Lung nodule": 1}
    (nodule,) = read_annotations(tmp_path / "annotations.csv")[uid]
    assert isinstance(nodule, Nodule)
    assert nodule.diameter_mm == pytest.approx(23.35, abs=0.01)
    volume = read_volume(study.path)
    x, y, z = nodule.lps_mm
    index = np.rint(np.linalg.inv(volume.affine) @ (-x, -y, z, 1))[:3].astype(int)
    around = volume.hu[tuple(slice(i - 1, i + 2) for i in index)]
    assert -100 < around.mean() < 150
