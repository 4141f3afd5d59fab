"""CT-RATE's tree -> studies, on toy trees whose volumes are empty files: a layout reads no voxel."""

from pathlib import Path

import pytest

from simcrop.data.layouts import Listing, list_studies
from simcrop.errors import SimcropError

REPORTS = "radiology_text_reports/train_reports.csv"
HEAD = "VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN\n"


def put(root: Path, place: str, text: str | bytes = "") -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def volume(root: Path, name: str, tree: str = "train") -> Path:
    patient, letter, _ = name.rsplit("_", 2)
    return put(root, f"dataset/{tree}/{patient}/{patient}_{letter}/{name}.nii.gz")


def row(name: str, findings: str = "Lungs are clear.", impression: str = "Normal.") -> str:
    return f'{name}.nii.gz,,,"{findings}",{impression}\n'


def refused(listing: Listing) -> list[tuple[str, str]]:
    return [(r.name, r.reason) for r in listing.refusals]


def test_names_say_patient_and_scan(tmp_path: Path) -> None:
    path = volume(tmp_path, "train_12_b_3")
    volume(tmp_path, "valid_7_a_1", "valid")
    first, second = list_studies("ct-rate", tmp_path).studies
    assert (first.id, first.patient, first.scan, first.split) == (
        "train_12_b_3",
        "train_12",
        "train_12_b",
        "train",
    )
    assert first.path == path
    assert (second.id, second.split) == ("valid_7_a_1", "valid")


def test_volumes_alone_are_taken_with_a_note(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    listing = list_studies("ct-rate", tmp_path)
    assert listing.studies[0].findings == ""
    assert listing.studies[0].notes == ("no report",)
    assert listing.studies[0].labels == {}
    assert listing.studies[0].hint is None
    assert listing.refusals == ()


def test_reconstructions_share_the_report_of_their_scan(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    volume(tmp_path, "train_1_a_2")
    volume(tmp_path, "train_1_b_1")
    put(tmp_path, REPORTS, HEAD + row("train_1_a_1", "A nodule.\nNo effusion."))
    one, two, other = list_studies("ct-rate", tmp_path).studies
    assert one.findings == two.findings == "A nodule.\nNo effusion."
    assert two.impression == "Normal."
    assert one.notes == ()
    assert "another reconstruction" in two.notes[0]
    assert other.findings == ""


def test_repaired_tree_wins_over_raw_and_says_so(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    fixed = volume(tmp_path, "train_1_a_1", "train_fixed")
    (study,) = list_studies("ct-rate", tmp_path).studies
    assert study.path == fixed
    assert study.split == "train"
    assert "train_fixed" in study.notes[0]


def test_report_of_an_unknown_volume_is_one_refusal(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    put(tmp_path, REPORTS, HEAD + row("train_1_a_1") + row("train_9_a_1") + row("train_9_a_2"))
    listing = list_studies("ct-rate", tmp_path)
    assert refused(listing) == [("train_9_a_1", "no-volume"), ("train_9_a_2", "no-volume")]
    assert "clear" not in listing.refusals[0].sentence
    assert len(listing.studies) == 1


def test_volume_without_a_chest_is_refused(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    volume(tmp_path, "train_2_a_1")
    put(tmp_path, "metadata/no_chest_train.txt", "dataset/train/train_2/train_2_a/train_2_a_1.nii.gz\n")
    listing = list_studies("ct-rate", tmp_path)
    assert refused(listing) == [("train_2_a_1", "no-chest")]
    assert [s.id for s in listing.studies] == ["train_1_a_1"]


def test_labels_and_metadata_reach_the_study(tmp_path: Path) -> None:
    volume(tmp_path, "valid_1_a_1", "valid")
    labels = "VolumeName,Lung nodule,Emphysema,Atelectasis\nvalid_1_a_1.nii.gz,1,0.0,\n"
    put(tmp_path, "multi_abnormality_labels/valid_predicted_labels.csv", labels)
    metadata = "VolumeName,RescaleIntercept,RescaleSlope\nvalid_1_a_1.nii.gz,-8192,1\n"
    put(tmp_path, "dataset/metadata/validation_metadata.csv", metadata)
    (study,) = list_studies("ct-rate", tmp_path).studies
    assert study.labels == {"Lung nodule": 1, "Emphysema": 0, "Atelectasis": None}
    assert study.hint is not None
    assert study.hint.intercept == -8192


def test_lists_tables_and_reconstructions_of_both_splits_meet(tmp_path: Path) -> None:
    for name in ("train_1_a_1", "train_1_a_2", "train_2_a_1"):
        volume(tmp_path, name, "train_fixed")
    for name in ("valid_1_a_1", "valid_1_a_2", "valid_1_b_1"):
        volume(tmp_path, name, "valid")
    put(tmp_path, "metadata/no_chest_train.txt", "train_2_a_1.nii.gz\n")
    put(tmp_path, "metadata/no_chest_valid.txt", "valid_1_b_1\n")
    put(tmp_path, REPORTS, HEAD + row("train_1_a_1"))
    put(tmp_path, "radiology_text_reports/validation_reports.csv", HEAD + row("valid_1_a_2", "A cyst."))
    listing = list_studies("ct-rate", tmp_path)
    assert {s.id: (s.split, s.scan, s.findings) for s in listing.studies} == {
        "train_1_a_1": ("train", "train_1_a", "Lungs are clear."),
        "train_1_a_2": ("train", "train_1_a", "Lungs are clear."),
        "valid_1_a_1": ("valid", "valid_1_a", "A cyst."),
        "valid_1_a_2": ("valid", "valid_1_a", "A cyst."),
    }
    assert refused(listing) == [("train_2_a_1", "no-chest"), ("valid_1_b_1", "no-chest")]
    assert listing.split_kind == "released"


def test_endless_name_in_a_table_is_cut(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    put(tmp_path, REPORTS, HEAD + row("word " * 400))
    (refusal,) = list_studies("ct-rate", tmp_path).refusals
    assert len(refusal.name) == 80
    assert len(refusal.sentence) < 180


def test_a_wrong_byte_in_a_list_is_named(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    put(tmp_path, "metadata/no_chest_train.txt", b"train_2_a_1\n\xe7\n")
    with pytest.raises(SimcropError, match=r"no_chest_train\.txt: byte 0xe7 at 12, in line 2"):
        list_studies("ct-rate", tmp_path)


def test_strange_name_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "dataset/train/x/scan.nii.gz")
    assert refused(list_studies("ct-rate", tmp_path)) == [("scan", "bad-name")]


@pytest.mark.parametrize(
    ("table", "reason", "message"),
    [
        ("VolumeName,Findings\nx,y\n", "missing-columns", "Findings_EN, Impressions_EN"),
        (b"VolumeName,Findings_EN,Impressions_EN\ntrain_1_a_1,\xe7ok,\n", "not-utf8", "UTF-8"),
        (
            "VolumeName,Findings_EN,Impressions_EN\nx,one, two,three\n",
            "bad-csv",
            "line 2 has 4 fields, expected 3",
        ),
        ("VolumeName,Findings_EN,Findings_EN,Impressions_EN\n", "bad-csv", "twice"),
        ('VolumeName,Findings_EN,Impressions_EN\nx,"y,z\n', "bad-csv", "not a sound CSV"),
        ("", "missing-columns", "none"),
        ("VolumeName,Findings_EN,Impressions_EN\nx,a,b\nx,a,c\n", "duplicate-row", "x.nii.gz"),
    ],
)
def test_unsound_table_is_one_line(tmp_path: Path, table: str | bytes, reason: str, message: str) -> None:
    volume(tmp_path, "train_1_a_1")
    path = put(tmp_path, REPORTS, table)
    with pytest.raises(SimcropError) as caught:
        list_studies("ct-rate", tmp_path)
    assert caught.value.reason == reason
    assert str(path) in caught.value.sentence
    assert message in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_label_that_is_no_label_is_an_error(tmp_path: Path) -> None:
    volume(tmp_path, "train_1_a_1")
    table = "VolumeName,Emphysema\ntrain_1_a_1.nii.gz,maybe\n"
    put(tmp_path, "multi_abnormality_labels/train_predicted_labels.csv", table)
    with pytest.raises(SimcropError, match="Emphysema") as caught:
        list_studies("ct-rate", tmp_path)
    assert caught.value.reason == "bad-label"


def test_folder_without_a_dataset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="dataset/train") as caught:
        list_studies("ct-rate", tmp_path)
    assert caught.value.reason == "no-scans"


@pytest.mark.parametrize(("requested", "near"), [("ct_rate", "ct-rate"), ("folders", "folder")])
def test_unknown_layout_names_the_nearest(tmp_path: Path, requested: str, near: str) -> None:
    with pytest.raises(SimcropError, match=f"known are ct-rate, .*folder, dicom; did you mean {near}"):
        list_studies(requested, tmp_path)


def test_missing_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="no such file or folder"):
        list_studies("ct-rate", tmp_path / "nowhere")


def test_real_tables_cover_the_real_validation_split(tmp_path: Path, real_data: Path) -> None:
    (tmp_path / "radiology_text_reports").mkdir()
    (tmp_path / "metadata").mkdir()
    (tmp_path / "multi_abnormality_labels").mkdir()
    (tmp_path / "radiology_text_reports/validation_reports.csv").symlink_to(
        real_data / "ctrate/validation_reports.csv"
    )
    (tmp_path / "metadata/validation_metadata.csv").symlink_to(real_data / "ctrate/validation_metadata.csv")
    (tmp_path / "multi_abnormality_labels/valid_predicted_labels.csv").symlink_to(
        real_data / "ctrate/valid_predicted_labels.csv"
    )
    volume(tmp_path, "valid_1_a_1", "valid")
    volume(tmp_path, "valid_2_a_1", "valid_fixed")
    listing = list_studies("ct-rate", tmp_path)
    one, two = listing.studies
    assert len(one.labels) == 18
    assert one.labels["Lung nodule"] == 1
    assert sum(v or 0 for v in one.labels.values()) == 1
    assert one.findings.startswith("Trachea")
    assert two.hint is not None
    assert len(listing.refusals) == 3039 - 2
    assert {r.reason for r in listing.refusals} == {"no-volume"}
