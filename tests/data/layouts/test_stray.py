"""What lies in a folder of scans and is not taken: refusals that say what helps, and reports of no scan among them."""

from pathlib import Path

import pytest

from simcrop.data.layouts import ListingOptions, list_studies
from simcrop.errors import SimcropError


def put(root: Path, *places: str, content: bytes = b"\0\1 no voxels" * 20) -> None:
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


STRAY = {
    "reports.xlsx": "CSV UTF-8",
    "Reports.XLS": "CSV UTF-8",
    "cases.ods": "CSV UTF-8",
    "Radiology_Reports.csv": "under the name reports.csv",
    "p1/reports.csv": "under the name reports.csv",
    "reports.csv.gz": "unpacked",
    "reports.jsonl": "CSV in UTF-8",
    "reports.txt": "beside it",
    "a/ct7_report.txt": "beside it",
    "a/ct7.nii.gz.txt": "beside it",
    "a/a.txt": "beside it",
    "a/Shah.txt": "beside it",
    "reports/ct8.pdf": "plain text",
    "a/Befund.docx": "plain text",
}


@pytest.mark.parametrize(("place", "help_"), STRAY.items())
def test_what_looks_like_reports_and_is_not_read_is_refused_with_what_helps(
    tmp_path: Path, place: str, help_: str
) -> None:
    put(tmp_path, "a/ct7.nii.gz", place)
    listing = list_studies("folder", tmp_path)
    (refusal,) = listing.refusals
    assert (refusal.name, refusal.path, refusal.reason) == (place, tmp_path / place, "stray-report")
    assert help_ in refusal.sentence
    assert listing.left.startswith("1 ")


@pytest.mark.parametrize(
    "place",
    [
        "README.txt",
        "a/License.txt",
        "a/ct7.json",
        "metadata.csv",
        "a/md5.txt",
        "notes.pdf",
        "a/.report.txt",
        "~$reports.xlsx",
        "reports/Thumbs.db",
    ],
)
def test_what_is_about_the_data_is_no_report(tmp_path: Path, place: str) -> None:
    put(tmp_path, "a/ct7.nii.gz", place)
    listing = list_studies("folder", tmp_path)
    assert (listing.refusals, listing.left) == ((), "")


@pytest.mark.parametrize("name", ["Reports.csv", "reports.CSV", "REPORTS.TSV", "Reports.Json"])
def test_capitals_in_the_name_of_the_table_do_not_matter(tmp_path: Path, name: str) -> None:
    put(tmp_path, "ct7.nii.gz")
    content = '[{"id": "ct7", "findings": "Clear."}]' if "on" in name else "id\tfindings\nct7\tClear.\n"
    (tmp_path / name).write_text(content)
    listing = list_studies("folder", tmp_path)
    assert (listing.studies[0].findings, listing.refusals) == ("Clear.", ())


def test_of_two_tables_that_capitals_tell_apart_the_plain_name_is_read_and_the_other_named(
    tmp_path: Path,
) -> None:
    put(tmp_path, "ct7.nii.gz")
    (tmp_path / "reports.csv").write_text("id,findings\nct7,Clear.\n")
    (tmp_path / "Reports.csv").write_text("id,findings\nct7,Other.\n")
    listing = list_studies("folder", tmp_path)
    assert listing.studies[0].findings == "Clear."
    assert [refusal.name for refusal in listing.refusals] == ["Reports.csv"]
    (tmp_path / "reports.csv").rename(tmp_path / "REPORTS.csv")
    with pytest.raises(SimcropError, match=r"REPORTS\.csv and Reports\.csv lie together"):
        list_studies("folder", tmp_path)


@pytest.mark.parametrize("name", ["ct7.txt", "ct7.TXT", "ct7.Txt"])
def test_a_text_belongs_to_its_scan_whatever_the_capitals_of_its_ending(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a/ct7.nii.gz", "a/CT7.nii.gz")
    (tmp_path / "a" / name).write_text("Clear.")
    listing = list_studies("folder", tmp_path)
    assert {s.path.name: s.findings for s in listing.studies} == {"ct7.nii.gz": "Clear.", "CT7.nii.gz": ""}
    assert listing.refusals == ()


def test_tables_and_texts_that_the_user_names_are_taken(tmp_path: Path) -> None:
    put(tmp_path, "ct7.nii.gz")
    put(tmp_path, "reports/ct7.txt", "more_reports.csv", content=b"id,findings\nct7,Clear.\n")
    for reports, other in (("reports", "more_reports.csv"), ("more_reports.csv", "reports/ct7.txt")):
        listing = list_studies("folder", tmp_path, ListingOptions(reports=tmp_path / reports))
        assert listing.studies[0].findings
        assert [refusal.name for refusal in listing.refusals] == [other]


def test_reports_are_read_also_where_nobody_looks_for_what_is_left(tmp_path: Path) -> None:
    put(tmp_path, "ct7.nii.gz", ".ct8.nii.gz", "x.npy", "run.json")
    put(tmp_path, "reports.csv", content=b"id,findings\nct7,Clear.\n")
    put(tmp_path, ".ct8.txt", "ct9.txt", content=b"Dry.")
    listing = list_studies("folder", tmp_path)
    assert {s.path.name: s.findings for s in listing.studies} == {
        "ct7.nii.gz": "Clear.",
        ".ct8.nii.gz": "Dry.",
    }
    assert listing.refusals == ()


def test_a_folder_that_is_called_like_a_document_is_none(tmp_path: Path) -> None:
    put(tmp_path, "ct7.nii.gz", "reports.csv/inner.nii.gz", "a.txt/b.nii.gz")
    listing = list_studies("folder", tmp_path)
    assert (len(listing.studies), listing.refusals) == (3, ())


def test_the_list_of_kinds_counts_files_and_holds_no_names(tmp_path: Path) -> None:
    put(tmp_path, "ct7.nii.gz", "Quilla.npy", "b/Zebrafinch.npy", "Quilla^Z.Marsupial", "b/ct.nii.bz2")
    put(tmp_path, *(f"s/{i}.dcm.gz" for i in range(5)), "reports.xlsx")
    assert list_studies("folder", tmp_path).left == "5 .dcm.gz, 1 .nii.bz2, 2 .npy, 1 reports.xlsx, 1 unknown"


def test_a_folder_of_nothing_that_can_be_read_says_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, "ct.npy")
    with pytest.raises(
        SimcropError, match=r"no scan found with the layout folder; .*ct\.npy: is not read, numbers"
    ):
        list_studies("folder", tmp_path)
    put(tmp_path, "ct.nii.bz2")
    with pytest.raises(SimcropError, match=r"what lies there is not read: 1 \.nii\.bz2, 1 \.npy"):
        list_studies("folder", tmp_path)


def test_the_spreadsheet_of_which_the_table_was_saved_is_none_of_the_left(tmp_path: Path) -> None:
    put(tmp_path, "a/ct7.nii.gz", "reports.xlsx", "cases.xlsx", "a/reports.xlsx")
    (tmp_path / "reports.csv").write_text("id,findings\na__ct7,Dry.\n")
    assert [refusal.name for refusal in list_studies("folder", tmp_path).refusals] == ["a/reports.xlsx"]


def test_a_table_without_any_scan_is_no_cohort(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text("id,findings\na__ct7,Dry.\n")
    with pytest.raises(SimcropError, match="no scan found") as caught:
        list_studies("folder", tmp_path)
    assert caught.value.reason == "no-scans"
