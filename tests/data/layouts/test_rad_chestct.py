"""RAD-ChestCT's tree -> studies: classes by OR over locations, splits, sizes; on toy tables and the real lists."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.layouts import list_studies
from simcrop.data.layouts.rad_chestct import CLASSES, columns_of
from simcrop.data.layouts.table import read_table
from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError

ALL = [name for names in CLASSES.values() for name in names]
HEAD = ["NoteAcc_DEID", *(f"{name}*{place}" for name in ALL for place in ("left_lung", "heart"))]
SHAPE = (7, 9, 11)  # z, y, x


def scan(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ct = np.random.default_rng(1).normal(40, 20, SHAPE)
    ct[2:5, 3:7, 1:6] = -850 + np.arange(5)
    np.savez_compressed(path, ct=ct.astype(np.int16))
    return path


def table(root: Path, split: str, rows: dict[str, dict[str, str]], head: list[str] = HEAD) -> Path:
    lines = [",".join(head)]
    for name, ones in rows.items():
        lines.append(",".join([name, *(ones.get(column, "0") for column in head[1:])]))
    path = root / f"img{split}_Abnormality_and_Location_Labels.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_class_is_positive_where_any_abnormality_is_anywhere(tmp_path: Path) -> None:
    scan(tmp_path / "trn00001.npz")
    scan(tmp_path / "val00002.npz")
    table(tmp_path, "train", {"trn00001": {"pleural_effusion*left_lung": "1", "nodulegr1cm*heart": "1.0"}})
    table(tmp_path, "valid", {"val00002": {"pericardial_effusion*heart": "1"}})
    one, two = list_studies("rad-chestct", tmp_path).studies
    assert [k for k, v in one.labels.items() if v] == ["Lung nodule", "Pleural effusion"]
    assert [k for k, v in two.labels.items() if v] == ["Pericardial effusion"]
    assert set(one.labels.values()) == {0, 1}
    assert (one.split, two.split, one.patient) == ("train", "valid", "trn00001")


def test_no_abnormality_counts_for_two_classes() -> None:
    assert len(set(ALL)) == len(ALL)
    assert len(CLASSES) == 16


def test_no_two_classes_are_made_of_the_same_columns() -> None:
    made = {name: set(columns) for name, columns in columns_of(Path("x"), dict.fromkeys(HEAD, "0")).items()}
    for one, other in combinations(made, 2):
        assert made[one].isdisjoint(made[other]), (one, other)
    assert made["Pleural effusion"] == {"pleural_effusion*left_lung", "pleural_effusion*heart"}
    assert made["Pericardial effusion"] == {"pericardial_effusion*left_lung", "pericardial_effusion*heart"}


@pytest.mark.parametrize("column", HEAD[1:])
def test_every_column_alone_makes_one_class_positive(tmp_path: Path, column: str) -> None:
    scan(tmp_path / "trn00001.npz")
    table(tmp_path, "train", {"trn00001": {column: "1"}})
    (study,) = list_studies("rad-chestct", tmp_path).studies
    (positive,) = [name for name, value in study.labels.items() if value]
    assert column.partition("*")[0] in CLASSES[positive]


def test_unknown_stays_unknown_and_a_volume_in_no_table_says_so(tmp_path: Path) -> None:
    scan(tmp_path / "tst00001.npz")
    scan(tmp_path / "tst00002.npz")
    table(tmp_path, "test", {"tst00001": {"emphysema*heart": "", "emphysema*left_lung": "-1"}})
    known, unknown = list_studies("rad-chestct", tmp_path).studies
    assert known.labels["Emphysema"] is None
    assert known.labels["Atelectasis"] == 0
    assert set(unknown.labels.values()) == {None}
    assert unknown.split == "test"
    assert "in no label table" in unknown.notes


def test_the_metadata_table_gives_patient_and_size(tmp_path: Path) -> None:
    path = scan(tmp_path / "trn00001.npz")
    (tmp_path / "CT_Scan_Metadata_Complete_3.csv").write_text(
        'NoteAcc_DEID,MRN_DEID,final_spacing\ntrn00001,m7,"(1.5, 2.5, 3.5)"\ntrn9,m8,\n'
    )
    (study,) = list_studies("rad-chestct", tmp_path).studies
    assert study.patient == "m7"
    volume = read_volume(study.path, study.hint)
    assert volume.spacing_mm == (1.5, 2.5, 3.5)
    assert volume.axis_codes == "LPI"
    assert any("1.5 x 2.5 x 3.5 mm" in note for note in volume.notes)
    assert read_volume(path).spacing_mm == (0.8, 0.8, 0.8)


def test_rows_without_a_volume_are_refused(tmp_path: Path) -> None:
    scan(tmp_path / "trn00001.npz")
    table(tmp_path, "train", {"trn00001": {}, "trn00002": {}})
    (refusal,) = list_studies("rad-chestct", tmp_path).refusals
    assert (refusal.name, refusal.reason) == ("trn00002", "no-volume")


def test_a_missing_abnormality_or_key_is_one_line(tmp_path: Path) -> None:
    scan(tmp_path / "trn00001.npz")
    head = [name for name in HEAD if not name.startswith("pericardial")]
    path = table(tmp_path, "train", {"trn00001": {}}, head)
    for missing in (r"pericardial_effusion\*LOCATION", "NoteAcc_DEID"):
        with pytest.raises(SimcropError, match=missing) as caught:
            list_studies("rad-chestct", tmp_path)
        assert caught.value.reason == "missing-columns"
        assert str(path) in caught.value.sentence
        table(tmp_path, "train", {"trn00001": {}}, ["name", *HEAD[1:]])


def test_two_rows_that_disagree_are_an_error(tmp_path: Path) -> None:
    scan(tmp_path / "trn00001.npz")
    table(tmp_path, "train", {"trn00001": {}})
    table(tmp_path, "valid", {"trn00001": {"emphysema*heart": "1"}})
    with pytest.raises(SimcropError, match="second, different row for trn00001"):
        list_studies("rad-chestct", tmp_path)


def test_a_truncated_npz_is_one_refusal_and_the_rest_is_taken(tmp_path: Path) -> None:
    scan(tmp_path / "raw/trn00001.npz")
    path = scan(tmp_path / "raw/trn00002.npz")
    path.write_bytes(path.read_bytes()[:-40])
    done = ingest(tmp_path / "raw", "rad-chestct", tmp_path / "cohort", (4.0, 4.0, 4.0))
    assert (done.taken, done.refused) == (1, 1)


def test_real_abnormalities_and_classes_are_ours(real_data: Path) -> None:
    fake = read_table(real_data / "radchestct/fake_format_samples/imgvalid_BinaryLabels.csv")
    assert set(ALL) <= set(fake[0])
    assert set(columns_of(Path("x"), dict.fromkeys([*HEAD, *fake[0]], "0"))) == set(CLASSES)
    released = read_table(real_data / "radchestct/test_list.csv", ("NoteAcc_DEID",))
    head = [name.replace("Hietal Hernia", "Hiatal hernia") for name in released[0]]
    assert head[1:] == list(CLASSES)
    # The flaw that rebuilding the labels repairs.
    assert all(row["Pericardial effusion"] == row["Pleural effusion"] for row in released)
    assert {row["NoteAcc_DEID"][:3] for row in released} == {"tst"}
