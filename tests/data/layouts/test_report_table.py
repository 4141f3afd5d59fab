"""Reports joined by a stated key, DICOM headers included, whose values never leave this step."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simcrop.data.layouts import Listing, ListingOptions, list_studies
from simcrop.data.readers.header_names import HeaderNames, header_names, keyword_of
from simcrop.errors import SimcropError

STUDY = {"a": "1.2.826.71", "b": "1.2.826.72"}


@pytest.fixture
def hospital(tmp_path: Path, put_dicom: Callable[..., Path]) -> Path:
    """Two patients in folders that say nothing; the first one's examination is in two series."""
    raw = tmp_path / "raw"
    one = {"PatientID": "MRN-4711", "AccessionNumber": "ACC-31", "StudyInstanceUID": STUDY["a"]}
    two = {"PatientID": "MRN-4712", "AccessionNumber": "ACC-32", "StudyInstanceUID": STUDY["b"]}
    put_dicom(raw / "x/thin", **one, SeriesInstanceUID="1.2.826.11")
    put_dicom(raw / "x/thick", **one, SeriesInstanceUID="1.2.826.12")
    put_dicom(raw / "y", **two, SeriesInstanceUID="1.2.826.13")
    put_dicom(raw / "y", **two, SeriesInstanceUID="1.2.826.14")
    return raw


def listed(raw: Path, table: str, key: str | None) -> Listing:
    path = raw.parent / "elsewhere.csv"
    path.write_text(table)
    return list_studies("folder", raw, ListingOptions(reports=path, key=key))


def found(listing: Listing) -> dict[str, str]:
    return {study.id: study.findings for study in listing.studies}


@pytest.mark.parametrize(
    ("key", "one", "two"),
    [
        ("PatientID", "MRN-4711", "MRN-4712"),
        ("patient_id", "MRN-4711", "MRN-4712"),
        ("Accession Number", "ACC-31", "ACC-32"),
        ("accession", "ACC-31", "ACC-32"),
        ("StudyInstanceUID", STUDY["a"], STUDY["b"]),
    ],
)
def test_a_header_value_joins_all_series_of_an_examination(
    hospital: Path, key: str, one: str, two: str
) -> None:
    listing = listed(hospital, f"{key},findings\n{one},Dry.\n{two},Wet.\nzebrafinch,Lost.\n", key)
    assert found(listing) == {"x__thick": "Dry.", "x__thin": "Dry.", "y": "Wet."}
    thick, thin, y = listing.studies
    assert (thick.scan, thin.scan, y.scan) == ("x__thick", "x__thick", "y")
    assert thin.notes == ("one report for 2 series of this examination",)
    assert y.notes == ()
    (refusal,) = listing.refusals
    assert (refusal.name, refusal.reason) == ("elsewhere.csv row 3", "no-volume")
    assert "zebrafinch" not in refusal.sentence


def test_a_series_is_found_among_several_in_one_folder(hospital: Path) -> None:
    table = "SeriesInstanceUID,findings\n1.2.826.14,Wet.\n1.2.826.11,Dry.\n"
    listing = listed(hospital, table, "SeriesInstanceUID")
    assert found(listing) == {"x__thick": "", "x__thin": "Dry.", "y": "Wet."}
    assert listing.studies[0].notes == ("no report",)


def test_no_header_value_is_in_a_listing_or_an_error(hospital: Path) -> None:
    listing = listed(hospital, "PatientID,findings\nMRN-4711,Dry.\nMRN-9,Lost.\n", "PatientID")
    text = repr(listing) + repr(header_names(hospital / "y"))
    assert not any(secret in text for secret in ("MRN", "ACC-", "1.2.826"))


def test_of_two_different_rows_for_one_scan_neither_is_taken(hospital: Path) -> None:
    table = "PatientID,findings\nMRN-4712,Dry.\nMRN-4711,Clear.\nMRN-4712,Wet.\nMRN-4711,Clear.\n"
    listing = listed(hospital, table, "PatientID")
    assert found(listing) == {"x__thick": "Clear.", "x__thin": "Clear.", "y": ""}
    assert listing.studies[2].notes == ("no report",)
    (refusal,) = listing.refusals
    assert (refusal.name, refusal.reason) == ("elsewhere.csv rows 1, 3", "duplicate-row")
    assert "name one scan and differ, neither is taken" in refusal.sentence
    assert "MRN" not in repr(refusal)


def test_a_whole_report_in_one_column_is_cut_at_its_heads(hospital: Path) -> None:
    table = '"id","Report_Text"\n"y","Findings: Dry lungs.\nImpression: Dry."\n"x__thin","Wet lungs."\n'
    thick, thin, y = listed(hospital, table, None).studies
    assert (y.findings, y.impression) == ("Dry lungs.", "Dry.")
    assert (thin.findings, thin.impression) == ("Wet lungs.", "")
    assert thick.notes == ("no report",)


def test_one_patients_two_examinations_do_not_share_a_report(
    tmp_path: Path, put_dicom: Callable[..., Path]
) -> None:
    raw = tmp_path / "raw"
    for name, study in STUDY.items():
        put_dicom(raw / name, PatientID="MRN-4711", StudyInstanceUID=study)
    listing = listed(raw, "PatientID,findings\nMRN-4711,Dry.\n", "PatientID")
    assert found(listing) == {"a": "", "b": ""}
    assert "which 2 scans share" in listing.refusals[0].sentence
    assert "MRN" not in listing.refusals[0].sentence + listing.refusals[0].name


def test_scans_without_a_header_are_joined_by_their_names_and_folders(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for place in ("ACC-31.nii.gz", "ACC-32/ct.nrrd", "ACC-33/a.nii", "ACC-33/b.nii"):
        (raw / place).parent.mkdir(parents=True, exist_ok=True)
        (raw / place).write_bytes(b"")
    table = "Accession,Findings\nACC-31,One.\nACC-32,Two.\nACC-33,Three.\n,Four.\n"
    listing = listed(raw, table, "Accession")
    assert found(listing) == {"ACC-31": "One.", "ACC-32__ct": "Two.", "ACC-33__a": "", "ACC-33__b": ""}
    assert [r.name for r in listing.refusals] == ["elsewhere.csv row 3", "elsewhere.csv row 4"]
    assert "which 2 scans share" in listing.refusals[0].sentence


def test_where_headers_are_the_key_no_folder_name_overrules_what_a_header_says(
    tmp_path: Path, put_dicom: Callable[..., Path]
) -> None:
    raw = tmp_path / "raw"
    for place, patient in (("A/2", "1001"), ("B/3", "1002"), ("C/4", "")):
        put_dicom(raw / place, PatientID=patient, StudyInstanceUID=f"1.2.826.8.{place[-1]}")
    (raw / "D").mkdir()
    (raw / "D/5.nii.gz").touch()
    absent = "".join(
        f"{name},Of somebody else.\n" for name in ("2", "A", "A/2", str(raw / "A"), "D:\\x\\raw\\A\\2")
    )
    table = f"PatientID,findings\n{absent}1002,Clear.\n4,Dry.\n5,Wet.\n"
    listing = listed(raw, table, "PatientID")
    assert found(listing) == {"A__2": "", "B__3": "Clear.", "C__4": "Dry.", "D__5": "Wet."}
    assert [refusal.reason for refusal in listing.refusals] == ["no-volume"] * 5
    nowhere = (
        "PatientID,findings\n2,Dry.\n3,Wet.\n"  # the headers have other names than the table: an export's
    )
    assert found(listed(raw, nowhere, "PatientID")) == {
        "A__2": "Dry.",
        "B__3": "Wet.",
        "C__4": "",
        "D__5": "",
    }


def test_a_key_that_is_no_column_is_an_error(hospital: Path) -> None:
    with pytest.raises(SimcropError, match="expected one of the columns accession") as caught:
        listed(hospital, "id,findings\ny,Dry.\n", "Accession")
    assert caught.value.reason == "missing-columns"


def test_a_report_in_the_column_of_names_is_cut(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/ct7.nii.gz").write_bytes(b"")
    listing = listed(tmp_path / "raw", f"id,findings\n{'word ' * 400},x\n", None)
    (refusal,) = listing.refusals
    assert len(refusal.name) == 80
    assert len(refusal.sentence) < 180


def test_only_ct_pictures_name_a_scan(tmp_path: Path, hospital: Path, put_dicom: Callable[..., Path]) -> None:
    folder = put_dicom(tmp_path / "mixed", SeriesInstanceUID="0", Modality="SR", PatientID="other")
    put_dicom(folder, SeriesInstanceUID="9", PatientID="right")
    (folder / "0_torn.dcm").write_bytes(b"\0" * 128 + b"DICM")
    names = header_names(folder)
    assert isinstance(names, HeaderNames)
    assert names.patient == "right"
    assert header_names(tmp_path / "raw") is None
    assert header_names(folder / "9_0.dcm") is None
    every = header_names(hospital / "y", every=True)
    assert every is not None
    assert every.series == {"1.2.826.13", "1.2.826.14"}


def test_a_zip_is_joined_like_a_folder(tmp_path: Path, hospital: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in (hospital / "y").iterdir():
            archive.write(path, f"export/{path.name}")
    names = header_names(tmp_path / "scan.zip")
    assert names is not None
    assert names.values("AccessionNumber") == {"ACC-32"}
    (tmp_path / "scan.zip").write_bytes(b"PK\3\4 nothing")
    assert header_names(tmp_path / "scan.zip") is None


def test_a_zip_whose_members_are_damaged_names_nothing(tmp_path: Path, hospital: Path) -> None:
    import zipfile

    path = tmp_path / "scan.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.write(next((hospital / "y").iterdir()), "a.dcm")
    assert header_names(path) is not None
    content = bytearray(path.read_bytes())
    content[45:60] = b"\xff" * 15  # the first bytes of the compressed member, behind its head
    path.write_bytes(content)
    assert header_names(path) is None


@pytest.mark.parametrize(("column", "keyword"), [("MRN", None), ("", None), (None, None), ("ID", None)])
def test_other_columns_mean_no_header_value(column: str | None, keyword: str | None) -> None:
    assert keyword_of(column) is keyword


def test_the_real_series_has_names(real_data: Path) -> None:
    names = header_names(real_data / "ct/lung_dx_a0001_dicom", every=True)
    assert names is not None
    assert len(names.series) == 1
    assert names.study != ""


def put(raw: Path, *names: str) -> None:
    """Files of no content: a layout reads none."""
    for name in names:
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).touch()


@pytest.mark.parametrize(
    "said",
    [
        "./p01/ct.nii.gz",
        "././p01//ct.nii.gz",
        r".\p01\ct.nii.gz",
        r"p01\ct.nii.gz",
        "./p01/ct",
        "./p01/",
        "p01/",
        "./ct.nii.gz",
        "raw/p01/ct.nii.gz",
        "./raw/p01",
        "{root}/p01/ct.nii.gz",
        "{root}/p01/",
        " ./p01/ct.nii.gz ",
    ],
)
def test_a_path_may_be_written_in_other_ways(tmp_path: Path, said: str) -> None:
    raw = tmp_path / "raw"
    put(raw, "p01/ct.nii.gz", "p02/other.nii.gz")
    table = f"file,findings\n{said.format(root=raw)},Dry.\n./p02/other.nii.gz,Wet.\n./p03/ct.nii.gz,Lost.\n"
    listing = listed(raw, table, None)
    assert found(listing) == {"p01__ct": "Dry.", "p02__other": "Wet."}
    assert [refusal.reason for refusal in listing.refusals] == ["no-volume"]


def test_a_path_that_means_a_scan_as_it_stands_is_not_written_anew(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw, "raw/p01/ct.nii.gz", "p01/ct.nii.gz")
    listing = listed(raw, "file,findings\nraw/p01/ct.nii.gz,Dry.\n./p01/ct.nii.gz,Wet.\n", None)
    assert found(listing) == {"p01__ct": "Wet.", "raw__p01__ct": "Dry."}


@pytest.mark.parametrize(
    ("before", "other", "sure"),
    [
        ("D:\\ct\\", "D:\\ct\\", True),
        ("/mnt/share/", "/mnt/share/", True),
        ("\\\\server\\ct\\", "\\\\server\\ct\\", True),
        ("/mnt/here/", "/mnt/there/", False),
    ],
)
def test_paths_of_another_computer_count_where_all_begin_alike(
    tmp_path: Path, before: str, other: str, sure: bool
) -> None:
    raw = tmp_path / "raw"
    put(raw, "p01/ct.nii.gz", "p02/other.nii.gz")
    table = f"file,findings\n{before}raw/p01/ct.nii.gz,Dry.\n{other}raw/p02/other.nii.gz,Wet.\n"
    table += f"{before}raw/p03/ct.nii.gz,Lost.\n/elsewhere/p01/ct.nii.gz,Lost.\n"
    listing = listed(raw, table, None)
    assert found(listing) == (
        {"p01__ct": "Dry.", "p02__other": "Wet."} if sure else {"p01__ct": "", "p02__other": ""}
    )
    assert len(listing.refusals) == (2 if sure else 4)


def test_a_row_means_the_scan_that_all_its_columns_mean(tmp_path: Path) -> None:
    """`id` is the number of the row, and by chance the name of a folder."""
    raw = tmp_path / "raw"
    put(raw, "1/ct.nii.gz", "2/ct.nii.gz", "3/ct.nii.gz", "4/a.nii.gz", "4/b.nii.gz")
    said = {3: "1/ct.nii.gz", 2: "2/ct.nii.gz", 77: "3/ct.nii.gz", 4: "4/b.nii.gz"}
    table = "".join(f"{number},{place},Of {place[:3]}.\n" for number, place in said.items())
    listing = listed(raw, f"id,file,findings\n{table}", None)
    assert found(listing) == {
        "1__ct": "",
        "2__ct": "Of 2/c.",
        "3__ct": "Of 3/c.",  # no scan is called 77
        "4__a": "",
        "4__b": "Of 4/b.",  # of the two in the folder 4
    }
    (refusal,) = listing.refusals
    assert (refusal.name, refusal.reason) == ("3", "no-volume")
    assert "another scan than its column file names" in refusal.sentence
    listing = listed(raw, f"id,file,findings\n{table}", "file")
    assert found(listing)["1__ct"] == "Of 1/c."
    assert listing.refusals == ()
