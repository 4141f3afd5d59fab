"""Reports in five formats -> the same rows of text; damaged ones are one line that quotes no report."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from simcrop.data.layouts import ListingOptions, list_studies
from simcrop.data.layouts.report_rows import read_rows
from simcrop.data.report import LARGEST_FILE
from simcrop.data.reports.heads import GUESSED, NO_FINDINGS, NO_HEAD
from simcrop.errors import SimcropError

ROWS: list[dict[str, Any]] = [
    {"ID": "ct7", "Findings": "A cyst, left.", "Impression": "Cyst.", "label:Nodule": 1, "split": "test"},
    {"ID": "ct8", "Findings": "Clear.", "Impression": None, "label:Nodule": None, "split": ""},
]


def as_csv(path: Path) -> None:
    pl.DataFrame(ROWS).write_csv(path)


def as_tsv(path: Path) -> None:
    pl.DataFrame(ROWS).write_csv(path, separator="\t")


def as_json(path: Path) -> None:
    path.write_text(json.dumps(ROWS))


def as_json_by_name(path: Path) -> None:
    path.write_text(json.dumps({row["ID"]: {k: v for k, v in row.items() if k != "ID"} for row in ROWS}))


def as_parquet(path: Path) -> None:
    pl.DataFrame(ROWS).write_parquet(path)


@pytest.mark.parametrize(
    ("ending", "write"),
    [
        (".csv", as_csv),
        (".tsv", as_tsv),
        (".json", as_json),
        (".json", as_json_by_name),
        (".parquet", as_parquet),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_every_format_gives_the_same_studies(tmp_path: Path, ending: str, write: Any, beside: bool) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("ct7.nii.gz", "ct8.nii.gz"):
        (raw / name).write_bytes(b"")
    table = (raw if beside else tmp_path) / f"reports{ending}"
    write(table)
    listing = list_studies("folder", raw, ListingOptions(reports=None if beside else table))
    seven, eight = listing.studies
    assert (seven.findings, seven.impression, seven.split) == ("A cyst, left.", "Cyst.", "test")
    assert (eight.findings, eight.impression, eight.split) == ("Clear.", "", "train")
    assert (seven.labels, eight.labels) == ({"Nodule": 1}, {"Nodule": None})
    assert (listing.refusals, listing.split_kind) == ((), "table")


def test_a_folder_of_texts_is_a_table_and_its_unreadable_text_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/ct7.nii.gz").write_bytes(b"")
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "ct7.txt").write_text("Findings: A nodule.\nImpression: Nodule.\n")
    (texts / "ct8.txt").write_bytes(b"")
    (texts / "ct9.txt").write_text("Clear.")
    listing = list_studies("folder", tmp_path / "raw", ListingOptions(reports=texts))
    assert listing.studies[0].findings == "A nodule."
    assert [(r.name, r.reason) for r in listing.refusals] == [("ct8.txt", "empty-file"), ("ct9", "no-volume")]


def test_values_of_json_and_parquet_become_what_a_table_would_say(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        '[{"id": 7.0, "findings": ["One.", "Two."], "label:a": true, "extra": {"x": 1}},'
        ' {"id": 12, "findings": NaN, "label:b": 0}]'
    )
    rows, _ = read_rows(path, None)
    assert rows == [
        {"id": "7", "findings": "One.\nTwo.", "label:a": "1", "extra": "", "label:b": ""},
        {"id": "12", "findings": "", "label:a": "", "extra": "", "label:b": "0"},
    ]
    path.write_text('{"ct7": "Clear lungs.", "ct8": {"file": "a/ct8", "findings": "Dry."}}')
    rows, _ = read_rows(path, "File")
    assert rows == [{"file": "ct7", "findings": "Clear lungs."}, {"file": "a/ct8", "findings": "Dry."}]


SECRET = "An umbrageous nodule."
UNSOUND: list[tuple[str, bytes, str, str]] = [
    ("a.json", b'[{"id": "ct7", "findings": "' + SECRET.encode(), "bad-json", "not a sound JSON"),
    ("a.json", b'{"ct7": "' + SECRET.encode() + b'", "ct7": "x"}', "bad-json", "stands twice"),
    ("a.json", b"7", "bad-json", "a list of objects"),
    ("a.json", b'["' + SECRET.encode() + b'"]', "bad-json", "a list of objects"),
    ("a.json", b'[{"id": "ct7", "findings": {"x": "' + SECRET.encode() + b'"}}]', "bad-json", "row 1"),
    ("a.json", b'[{"id": "ct7", "findings": "\\ud800"}]', "bad-json", "row 1 holds"),
    ("a.json", b'[{"id": "ct7", "ID": "x", "findings": ""}]', "bad-csv", "capitals"),
    ("a.json", b'[{"id": "ct7", "text": ""}]', "missing-columns", "findings"),
    ("a.json", b'{"ct7": "\xe7ok"}', "not-utf8", "byte 0xe7 at 9, in line 1"),
    ("a.json", b"[" * 100_000, "bad-json", "not a sound JSON"),
    ("a.parquet", SECRET.encode(), "bad-parquet", "not a sound Parquet"),
    ("a.csv", b"name,findings\nct7,x\n", "missing-columns", "id, volumename, file"),
    ("a.xlsx", b"PK", "unknown-format", ".csv, .tsv, .json, .parquet"),
]


@pytest.mark.parametrize(("name", "content", "reason", "message"), UNSOUND, ids=range(len(UNSOUND)))
def test_an_unsound_table_is_one_line_without_its_words(
    tmp_path: Path, name: str, content: bytes, reason: str, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SimcropError) as caught:
        read_rows(path, None)
    assert caught.value.reason == reason
    assert message in caught.value.sentence
    assert str(path) in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert "umbrageous" not in caught.value.sentence


def test_a_parquet_cut_short_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "reports.parquet"
    pl.DataFrame(ROWS).write_parquet(path)
    whole = path.read_bytes()
    for end in range(4, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(SimcropError, match="not a sound Parquet"):
            read_rows(path, None)


def test_a_table_that_is_not_there_and_two_that_are_are_errors(tmp_path: Path) -> None:
    (tmp_path / "ct7.nii.gz").write_bytes(b"")
    with pytest.raises(SimcropError, match="no such file or folder, expected the reports"):
        list_studies("folder", tmp_path, ListingOptions(reports=tmp_path / "no.csv"))
    with pytest.raises(SimcropError, match="a key is given, but there is no table"):
        list_studies("folder", tmp_path, ListingOptions(key="Accession"))
    (tmp_path / "reports.csv").write_text("id,findings\n")
    (tmp_path / "reports.json").write_text("[]")
    with pytest.raises(SimcropError, match=r"reports\.csv and reports\.json"):
        list_studies("folder", tmp_path)


def test_other_layouts_refuse_a_table_from_outside(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="ct-rate has tables of its own"):
        list_studies("ct-rate", tmp_path, ListingOptions(reports=tmp_path / "reports.csv"))


def test_real_reports_are_the_same_from_three_formats(tmp_path: Path, real_data: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("valid_1_a_1.nii.gz", "valid_2_a_1.nii.gz"):
        (raw / name).write_bytes(b"")
    table = pl.read_csv(real_data / "ctrate/validation_reports.csv")
    table.write_parquet(tmp_path / "r.parquet")
    (tmp_path / "r.json").write_text(json.dumps(table.to_dicts()))
    options_by_format = [
        ListingOptions(reports=path, key="VolumeName")
        for path in (real_data / "ctrate/validation_reports.csv", tmp_path / "r.parquet", tmp_path / "r.json")
    ]
    csv, parquet, by_json = (list_studies("folder", raw, options) for options in options_by_format)
    assert csv.studies == parquet.studies == by_json.studies
    assert all(study.findings for study in csv.studies)
    assert len(csv.refusals) == len(parquet.refusals) == len(by_json.refusals) == 3039 - 2


DIRTY = [
    {
        "id": "ct7",
        "patient": "nan",
        "findings": r"Clear &lt;5 mm.<br>Large\u00a0heart._x000D_" + "\n- No node",
        "impression": "NULL",
        "label:Nodule": "NaN",
    },
    {"id": "ct8", "patient": "p8", "findings": "None", "impression": " nan ", "label:Nodule": "1"},
]


def dirty_json(path: Path) -> None:
    path.write_text(json.dumps(DIRTY))


@pytest.mark.parametrize(
    ("ending", "write"),
    [
        (".csv", lambda path: pl.DataFrame(DIRTY).write_csv(path)),
        (".tsv", lambda path: pl.DataFrame(DIRTY).write_csv(path, separator="\t")),
        (".json", dirty_json),
        (".parquet", lambda path: pl.DataFrame(DIRTY).write_parquet(path)),
    ],
)
def test_what_an_export_left_in_cells_is_gone_in_every_format(
    tmp_path: Path, ending: str, write: Any
) -> None:
    for name in ("ct7.nii.gz", "ct8.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    write(tmp_path / f"reports{ending}")
    seven, eight = list_studies("folder", tmp_path).studies
    assert (seven.findings, seven.impression) == ("Clear <5 mm.\nLarge heart.\n- No node", "")
    assert (seven.patient, seven.labels, seven.notes) == ("ct7", {"Nodule": None}, ())
    assert (eight.findings, eight.impression, eight.patient, eight.notes) == ("", "", "p8", ("no report",))
    assert eight.labels == {"Nodule": 1}


@pytest.mark.parametrize(
    ("columns", "cells", "expected", "notes"),
    [
        ("report", "TECHNIQUE: CT.\n\nClear.", ("Clear.", ""), (NO_HEAD,)),
        ("report", "TECHNIQUE: CT.\nFINDINGS: Clear.", ("Clear.", ""), ()),
        (
            "report",
            "TECHNIQUE: CT. Clear lungs. IMPRESSION: Normal.",
            ("Clear lungs.", "Normal."),
            (GUESSED,),
        ),
        ("report", "IMPRESSION: Normal.", ("", "Normal."), (NO_FINDINGS,)),
        ("findings", "Clear.\nJ. Stone MD", ("Clear.", ""), ()),
        ("findings,impression", "Clear.\nDr. Stone,Normal.\nDr. Stone", ("Clear.", "Normal."), ()),
        ("impression", "Normal.", ("", "Normal."), (NO_FINDINGS,)),
        ("findings,report", "nan,FINDINGS: Clear.", ("Clear.", ""), ()),
        ("findings", "Clear.", ("Clear.", ""), ()),
        ("findings", "TECHNIQUE: CT. FINDINGS: Clear. IMPRESSION: Normal.", ("Clear.", "Normal."), ()),
        ("findings,impression", "FINDINGS: Clear.,Normal.", ("Clear.", "Normal."), ()),
    ],
)
def test_only_a_whole_report_needs_heads(
    tmp_path: Path, columns: str, cells: str, expected: tuple[str, str], notes: tuple[str, ...]
) -> None:
    (tmp_path / "ct7.nii.gz").write_bytes(b"")
    quoted = ",".join(f'"{cell}"' for cell in cells.split(","))
    (tmp_path / "reports.csv").write_text(f"id,{columns}\nct7,{quoted}\n")
    (study,) = list_studies("folder", tmp_path).studies
    assert ((study.findings, study.impression), study.notes) == (expected, notes)


@pytest.mark.parametrize("beside", [True, False])
def test_a_text_without_a_known_head_gets_a_note(tmp_path: Path, beside: bool) -> None:
    raw, texts = tmp_path / "raw", tmp_path / ("raw" if beside else "texts")
    for folder in {raw, texts}:
        folder.mkdir()
    for name, text in (("a", "nan"), ("b", "Clear."), ("c", "FINDINGS:\\nClear.")):
        (raw / f"{name}.nii.gz").write_bytes(b"")
        (texts / f"{name}.txt").write_text(text)
    listing = list_studies("folder", raw, ListingOptions(reports=None if beside else texts))
    assert [study.notes for study in listing.studies] == [("no report",), (NO_HEAD,), ()]
    assert [study.findings for study in listing.studies] == ["", "Clear.", "Clear."]
    assert [refusal.reason for refusal in listing.refusals] == ["empty-report"]


def test_a_cell_that_is_a_book_costs_its_words_and_no_more(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.nii.gz").touch()
    rows = f"a,{'Clear. ' * (LARGEST_FILE // 7 + 1)},1\nb,Dry.,0\n"
    (tmp_path / "reports.csv").write_text(f"id,findings,label:Cyst\n{rows}")
    listing = list_studies("folder", tmp_path)
    assert [(s.findings, s.labels, s.notes) for s in listing.studies] == [
        ("", {"Cyst": 1}, ("no report",)),
        ("Dry.", {"Cyst": 0}, ()),
    ]
    (refusal,) = listing.refusals
    assert (refusal.name, refusal.reason) == ("reports.csv row 1", "not-text")
    assert "characters in findings" in refusal.sentence
