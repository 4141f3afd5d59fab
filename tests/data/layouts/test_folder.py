"""A hospital's own folder -> studies, on empty files: a layout reads no voxel."""

import unicodedata
from pathlib import Path

import pytest

from simcrop.data.layouts import list_studies
from simcrop.errors import SimcropError


def put(root: Path, *places: str) -> None:
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_ids_come_from_paths_and_patients_from_top_folders(tmp_path: Path) -> None:
    put(tmp_path, "alpha/first/ct one.nii.gz", "beta.nrrd")
    nested, flat = list_studies("folder", tmp_path).studies
    assert (nested.id, nested.patient, nested.scan) == (
        "alpha__first__ct-one",
        "alpha",
        "alpha__first__ct-one",
    )
    assert (flat.id, flat.patient, flat.split) == ("beta", "beta", "train")
    assert flat.notes == ("no report",)


def test_equal_names_get_ids_that_differ_on_any_file_system(tmp_path: Path) -> None:
    put(tmp_path, "ct.nii.gz", "ct.mhd", "ct 1.nii.gz", "ct-1.nii.gz", "sub/ct.nii.gz", "é.nii")
    ids = [s.id for s in list_studies("folder", tmp_path).studies]
    assert len({i.lower() for i in ids}) == 6
    assert "sub__ct" in ids
    assert all(i.isascii() and "/" not in i and not i.startswith((".", "-")) for i in ids)
    assert ids == [s.id for s in list_studies("folder", tmp_path).studies]


def test_long_path_gives_an_id_that_fits_a_file_name(tmp_path: Path) -> None:
    put(tmp_path, "/".join(["folder" * 10] * 5) + "/ct.nii.gz")
    assert len(list_studies("folder", tmp_path).studies[0].id) < 200


def test_one_file_is_a_source(tmp_path: Path) -> None:
    put(tmp_path, "ct.nii.gz", "other.nii.gz")
    (study,) = list_studies("folder", tmp_path / "ct.nii.gz").studies
    assert (study.id, study.path) == ("ct", tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("named", ["id", "FILE", "VolumeName"])
@pytest.mark.parametrize("value", ["a__ct7", "a/ct7.nii.gz", "a/ct7", "ct7.nii.gz", "ct7"])
def test_table_finds_its_scan_by_any_of_its_names(tmp_path: Path, named: str, value: str) -> None:
    put(tmp_path, "a/ct7.nii.gz", "b/ct8.nii.gz")
    head = f"{named},Findings_EN,impression,Patient,split,label:Emphysema\n"
    (tmp_path / "reports.csv").write_text(f"{head}{value},Clear lungs.,Normal.,p1,Validation,1\n")
    listing = list_studies("folder", tmp_path)
    seven, eight = listing.studies
    assert (seven.findings, seven.impression, seven.patient, seven.split) == (
        "Clear lungs.",
        "Normal.",
        "p1",
        "valid",
    )
    assert seven.labels == {"Emphysema": 1}
    assert (eight.findings, eight.patient, eight.labels) == ("", "b", {})
    assert listing.refusals == ()


def test_row_that_names_no_scan_or_two_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/ct.nii.gz", "b/ct.nii.gz")
    (tmp_path / "reports.csv").write_text("file,findings\nct,Clear.\nzz.nii.gz,Clear.\n")
    listing = list_studies("folder", tmp_path)
    assert [(r.name, r.reason) for r in listing.refusals] == [("ct", "no-volume"), ("zz.nii.gz", "no-volume")]
    assert [s.findings for s in listing.studies] == ["", ""]


def test_columns_that_look_like_labels_and_are_not_named_so_are_known(tmp_path: Path) -> None:
    """A hospital's table as it is: neither its keys nor its numbers are labels, a mass and a stone may be."""
    put(tmp_path, "ct0.nii.gz", "ct1.nii.gz")
    head = "id,patient,findings,Mass,slices,label:Effusion,stone,empty,never\n"
    rows = "ct0,0,Clear.,0,1,1,1,,0\nct1,1,A mass.,1,2,0,0,,0\nct1,1,A mass.,1,2,0,,,0\n"
    (tmp_path / "reports.csv").write_text(head + rows)
    listing = list_studies("folder", tmp_path)
    assert listing.unread == ("mass", "stone")
    (tmp_path / "reports.csv").write_text("id,findings\n0,Clear.\n1,Clear.\n")
    assert list_studies("folder", tmp_path).unread == ()


def test_text_beside_the_scan_is_its_report(tmp_path: Path) -> None:
    put(tmp_path, "a/ct7.nii.gz")
    (tmp_path / "a/ct7.txt").write_text("Findings: A nodule.\nImpression: Nodule.\n")
    (study,) = list_studies("folder", tmp_path).studies
    assert (study.findings, study.impression) == ("A nodule.", "Nodule.")


def test_unreadable_text_is_refused_and_its_scan_taken(tmp_path: Path) -> None:
    put(tmp_path, "ct7.nii.gz")
    (tmp_path / "ct7.txt").write_bytes(b"")
    listing = list_studies("folder", tmp_path)
    assert [(r.name, r.reason) for r in listing.refusals] == [("ct7.txt", "empty-file")]
    assert listing.studies[0].notes == ("no report",)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("patient,findings\np,x\n", "missing-columns"),
        ("id,text\nct7,x\n", "missing-columns"),
        (b"id,findings\nct7,\xff\n", "not-utf8"),
    ],
)
def test_unsound_table_is_one_line(tmp_path: Path, table: str | bytes, reason: str) -> None:
    put(tmp_path, "ct7.nii.gz")
    path = tmp_path / "reports.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(SimcropError, match=r"reports\.csv") as caught:
        list_studies("folder", tmp_path)
    assert caught.value.reason == reason


def test_folder_without_scans_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt")
    with pytest.raises(SimcropError, match="no scan found"):
        list_studies("folder", tmp_path)


@pytest.mark.parametrize(
    ("places", "patients"),
    [
        ([f"nifti/p{n}.nii.gz" for n in range(12)], 12),
        ([f"data/nifti/p{n}/{m}.nii.gz" for n in range(6) for m in (1, 2)], 6),
        ([f"nifti/p{n}.nii.gz" for n in range(9)], 1),  # so few may be one patient's
        ([*(f"nifti/p{n}.nii.gz" for n in range(12)), "other/q.nii.gz"], 2),
    ],
)
def test_a_folder_that_holds_all_of_many_scans_is_no_patient(
    tmp_path: Path, places: list[str], patients: int
) -> None:
    put(tmp_path, *places)
    listing = list_studies("folder", tmp_path)
    assert len({study.patient for study in listing.studies}) == patients
    assert listing.shelved == (patients in {6, 12})


def test_accents_that_a_mac_puts_apart_are_those_of_the_table(tmp_path: Path) -> None:
    apart, composed = (unicodedata.normalize(form, "Müller ä") for form in ("NFD", "NFC"))
    assert apart != composed
    for name, other in ((apart, composed), (composed, apart)):
        root = tmp_path / f"{len(name)}"
        put(root, f"{name}.nii.gz")
        (root / "reports.csv").write_text(f"id,findings\n{other},Clear lungs.\n")
        listing = list_studies("folder", root)
        assert [(study.id, study.findings) for study in listing.studies] == [("M-ller", "Clear lungs.")]
        assert listing.refusals == ()


def test_a_table_of_labels_alone_is_a_table(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz")
    (tmp_path / "reports.csv").write_text("id,label:Nodule\na,1\n")
    (study,) = list_studies("folder", tmp_path).studies
    assert (study.labels, study.findings, study.notes) == ({"Nodule": 1}, "", ("no report",))
    (tmp_path / "reports.csv").write_text("id,nodule\na,1\n")
    with pytest.raises(SimcropError, match="expected one of the columns findings"):
        list_studies("folder", tmp_path)


def test_rows_that_differ_in_blanks_at_their_ends_are_one(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz")
    (tmp_path / "reports.csv").write_text("id,findings\na,Clear.\na,Clear. \n")
    listing = list_studies("folder", tmp_path)
    assert (listing.studies[0].findings, listing.refusals) == ("Clear.", ())


def test_a_text_is_the_report_where_the_table_has_no_words(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz")
    for name in "abcd":
        (tmp_path / f"{name}.txt").write_text("Findings: A cyst.\nImpression: Cyst.\n")
    rows = "a,,,1\nb,Clear.,Normal.,0\nc,A  cyst.,Cyst.,1\n"
    (tmp_path / "reports.csv").write_text(f"id,findings,impression,label:Cyst\n{rows}")
    a, b, c, d = list_studies("folder", tmp_path).studies
    assert [study.findings for study in (a, b, c, d)] == ["A cyst.", "Clear.", "A  cyst.", "A cyst."]
    assert [study.labels.get("Cyst") for study in (a, b, c, d)] == [1, 0, 1, None]
    assert b.notes == ("the text beside it says something else, the table's report is taken",)
    assert a.notes == c.notes == d.notes == ()
    (tmp_path / "reports.csv").write_text("id,label:Cyst\na,1\n")
    assert list_studies("folder", tmp_path).studies[0].findings == "A cyst."
