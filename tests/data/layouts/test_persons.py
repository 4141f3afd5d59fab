"""Scans of one person are one patient, whatever their folders are called, and nothing tells what the header said."""

from collections.abc import Callable
from pathlib import Path

from simcrop.data.layouts import ListingOptions, list_studies
from simcrop.data.layouts.persons import MANY


def patients(source: Path) -> dict[str, str]:
    return {study.id: study.patient for study in list_studies("dicom", source).studies}


def test_one_person_in_two_folders_is_one_patient(tmp_path: Path, put_dicom: Callable[..., Path]) -> None:
    for folder, person in (
        ("e5", "MRN-1"),
        ("e2", "MRN-1"),
        ("e3", "MRN-2"),
        ("e4/a", ""),
        ("e4/b", "MRN-2"),
    ):
        put_dicom(tmp_path / folder, PatientID=person)
    (tmp_path / "ct.nii.gz").write_bytes(b"")
    assert patients(tmp_path) == {
        "ct": "ct",
        "e2": "e2",
        "e3": "e3",
        "e4__a": "e3",  # in one folder with e4/b, who is e3
        "e4__b": "e3",
        "e5": "e2",
    }
    listing = list_studies("folder", tmp_path, ListingOptions(split="own"))
    assert len({study.split for study in listing.studies if study.patient == "e2"}) == 1
    assert "MRN" not in repr(listing)


def test_table_has_the_last_word_on_patients(tmp_path: Path, put_dicom: Callable[..., Path]) -> None:
    for folder in ("e1", "e2"):
        put_dicom(tmp_path / folder, PatientID="MRN-1")
    (tmp_path / "reports.csv").write_text("id,findings,patient\ne1,Clear.,anna\n")
    assert patients(tmp_path) == {"e1": "anna", "e2": "e1"}


def test_one_id_written_into_most_headers_joins_nobody(
    tmp_path: Path, put_dicom: Callable[..., Path]
) -> None:
    for i in range(MANY):
        put_dicom(tmp_path / f"e{i}", PatientID="ANONYMOUS" if i < 7 else "MRN-1")
    found = patients(tmp_path)
    assert {found[f"e{i}"] for i in range(7)} == {f"e{i}" for i in range(7)}
    assert {found[f"e{i}"] for i in range(7, MANY)} == {"e7"}
