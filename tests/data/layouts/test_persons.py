"""Scans of one person are one patient, whatever their folders are called, and nothing tells what the header said."""

import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from simcrop.data.layouts import ListingOptions, list_studies
from simcrop.data.layouts.persons import MANY
from simcrop.data.layouts.stated import CAPITALS, SEVERAL


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
    """One name for one scan of a person is that person's; of two nobody knows which the third scan is of."""
    for folder, person in (("e1", "MRN-1"), ("e2", "MRN-1"), *((f"e{n}", "MRN-2") for n in (3, 4, 5))):
        put_dicom(tmp_path / folder, PatientID=person)
    (tmp_path / "reports.csv").write_text(
        "id,findings,patient\ne1,Clear.,anna\ne3,Clear.,bob\ne4,Clear.,eve\n"
    )
    assert patients(tmp_path) == {"e1": "anna", "e2": "anna", "e3": "bob", "e4": "eve", "e5": "e3"}
    notes = {study.id: study.notes for study in list_studies("dicom", tmp_path).studies}
    assert notes["e5"] == ("no report", SEVERAL)
    assert notes["e2"] == ("no report",)
    assert notes["e3"] == ()


def put(root: Path, *places: str) -> None:
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()


def test_a_patient_stated_for_some_scans_of_a_folder_is_split_as_one(tmp_path: Path) -> None:
    put(tmp_path, *(f"p{n:02}/{name}.nii.gz" for n in range(12) for name in "ab"))
    rows = "".join(f"p{n:02}/a.nii.gz,Clear.,{1000 + n}\n" for n in range(12))
    (tmp_path / "reports.csv").write_text(f"file,findings,patient\n{rows}")
    studies = list_studies("folder", tmp_path, ListingOptions(split="own")).studies
    assert len({study.patient for study in studies}) == 12
    assert all(one.split == other.split for one, other in zip(studies[::2], studies[1::2], strict=True))


def test_a_patient_is_one_however_a_mac_writes_the_name(tmp_path: Path) -> None:
    apart, whole = (unicodedata.normalize(form, "Müller") for form in ("NFD", "NFC"))
    put(tmp_path, f"{apart}/a.nii.gz", f"{whole}/b.nii.gz", "c.nii.gz", "d.nii.gz", "e.nii.gz")
    (tmp_path / "reports.csv").write_text(
        f"id,findings,patient\nc,Clear.,{apart}\nd,Clear.,{whole.upper()}\n"
    )
    studies = list_studies("folder", tmp_path).studies
    assert Counter(study.patient for study in studies) == {whole: 3, whole.upper(): 1, "e": 1}
    assert {study.id: CAPITALS in study.notes for study in studies if study.id in "de"} == {
        "d": True,
        "e": False,
    }


def test_a_stated_split_is_that_of_all_scans_of_its_patient(tmp_path: Path) -> None:
    put(tmp_path, *(f"p{n}/{name}.nii.gz" for n in range(4) for name in "abc"))
    rows = {"p0/a": "test", "p1/a": "valid", "p1/b": "test", "p2/a": "fold1"}
    cells = "".join(f"{place},Clear.,{part}\n" for place, part in rows.items())
    (tmp_path / "reports.csv").write_text(f"file,findings,split\n{cells}")
    listing = list_studies("folder", tmp_path)
    assert [study.split for study in listing.studies] == [
        *("test", "test", "test"),
        *("valid", "test", "test"),  # two are stated: the third is at least not learned from
        *("fold1", "fold1", "fold1"),
        *("train", "train", "train"),
    ]
    noted = [study.patient for study in listing.studies if any("several sides" in n for n in study.notes)]
    assert noted == ["p1", "p1", "p1"]
    assert listing.sides == 1
    assert listing.odd_splits == "5 test, 3 fold1, 3 train, 1 valid"
    (tmp_path / "reports.csv").write_text("file,findings,split\np0/a,Clear.,Test\n")
    listing = list_studies("folder", tmp_path)
    assert (listing.sides, listing.odd_splits) == (0, "")


def test_one_id_written_into_most_headers_joins_nobody(
    tmp_path: Path, put_dicom: Callable[..., Path]
) -> None:
    for i in range(MANY):
        put_dicom(tmp_path / f"e{i}", PatientID="ANONYMOUS" if i < 7 else "MRN-1")
    found = patients(tmp_path)
    assert {found[f"e{i}"] for i in range(7)} == {f"e{i}" for i in range(7)}
    assert {found[f"e{i}"] for i in range(7, MANY)} == {"e7"}
