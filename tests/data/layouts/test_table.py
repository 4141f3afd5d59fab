"""Tables from outside: a damaged head line is refused without quoting what may be a patient's report."""

from pathlib import Path

import pytest

from simcrop.data.layouts import list_studies
from simcrop.data.layouts.raw import brief
from simcrop.data.layouts.table import read_table
from simcrop.errors import SimcropError

SECRET = "A nodule in the left upper lobe."


def refused(path: Path, text: str, needed: tuple[str, ...]) -> SimcropError:
    path.write_text(text)
    with pytest.raises(SimcropError) as error:
        read_table(path, needed)
    return error.value


def test_rows_of_delimiters_alone_as_spreadsheets_leave_them_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text("id,findings\r\nct7,Clear lungs.\r\n,\r\n , \r\n")
    assert read_table(tmp_path / "reports.csv") == [{"id": "ct7", "findings": "Clear lungs."}]


def test_table_without_a_head_line_is_refused_without_its_words(tmp_path: Path) -> None:
    text = f'ct7.nii.gz,"{SECRET}","{SECRET}"\n'
    for needed in (("VolumeName", "Findings_EN"), ()):
        error = refused(tmp_path / "reports.csv", text, needed)
        assert error.reason == ("missing-columns" if needed else "bad-csv")
        assert "nodule" not in error.sentence
    assert "number 2 and 3" in error.sentence


def test_table_with_one_column_missing_shows_the_others(tmp_path: Path) -> None:
    error = refused(tmp_path / "reports.csv", "VolumeName,Finding\n", ("VolumeName", "Findings_EN"))
    assert error.reason == "missing-columns"
    assert "no column Findings_EN" in error.sentence
    assert "VolumeName, Finding" in error.sentence


def test_label_columns_count_whatever_their_case(tmp_path: Path) -> None:
    (tmp_path / "ct7.nii.gz").write_bytes(b"not read by a listing")
    (tmp_path / "reports.csv").write_text("ID,Findings,Label:Nodule\nct7,Clear lungs.,1\n")
    (study,) = list_studies("folder", tmp_path).studies
    assert study.labels == {"Nodule": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"id,findings\n" + b"ct7,clear\n" * 2000 + b"ct8,\xe7ok\n", "byte 0xe7 at 20016, in line 2002,"),
        (b"\xffi,d\n", "byte 0xff at 0, in line 1,"),
        (b"id,findings\nct7,cut \xc3", "byte 0xc3 at 20, in line 2,"),
    ],
)
def test_a_byte_that_is_no_text_is_named_with_its_place(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "reports.csv"
    path.write_bytes(text)
    with pytest.raises(SimcropError) as caught:
        read_table(path)
    assert caught.value.reason == "not-utf8"
    assert caught.value.sentence == f"{path}: {message} is not UTF-8 text, save it as UTF-8"


def test_tabs_divide_a_tsv_and_commas_a_csv(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('id\tfindings\nct7\tClear, dry.\nct8\t"A\tB"\n')
    assert read_table(tmp_path / "a.tsv", ("id",)) == [
        {"id": "ct7", "findings": "Clear, dry."},
        {"id": "ct8", "findings": "A\tB"},
    ]
    (tmp_path / "a.csv").write_text('id,findings\nct8,"A\tB; C"\n')
    assert read_table(tmp_path / "a.csv", ("id",)) == [{"id": "ct8", "findings": "A\tB; C"}]


GERMAN = 'id;findings;impression;label:Knoten\r\nct7;"Rundherd 5,3 mm; links.";"Ein\nHerd.";1,0\r\n'
TABBED = (
    GERMAN.replace(';"', '\t"')
    .replace('";', '"\t')
    .replace("s;i", "s\ti")
    .replace("n;l", "n\tl")
    .replace("d;f", "d\tf")
)
SAVED = {
    "semicolons": GERMAN.encode(),
    "semicolons and a mark": GERMAN.encode("utf-8-sig"),
    "Excel's hint": ("sep=;\r\n" + GERMAN).encode("utf-8-sig"),
    "Excel's hint in quotes": ('"sep=;"\n' + GERMAN).encode(),
    "tabs": TABBED.encode(),
    "Unicode text": TABBED.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + GERMAN.encode("utf-16-be"),
    "UTF-16 without a mark": GERMAN.encode("utf-16-le"),
    "UTF-16 without a mark, big end first": TABBED.encode("utf-16-be"),
    "UTF-32": GERMAN.encode("utf-32"),
    "bare returns": GERMAN.replace("\r\n", "\r").encode(),
    "empty lines first": ("\n\r\n" + GERMAN).encode(),
    "bars": GERMAN.replace(';"', '|"')
    .replace('";', '"|')
    .replace("s;i", "s|i")
    .replace("n;l", "n|l")
    .replace("d;f", "d|f")
    .encode(),
}


@pytest.mark.parametrize("how", SAVED)
@pytest.mark.parametrize("name", ["reports.csv", "reports.tsv"])
def test_a_table_says_itself_how_it_was_saved(tmp_path: Path, how: str, name: str) -> None:
    (tmp_path / "ct7.nii.gz").write_bytes(b"not read by a listing")
    (tmp_path / name).write_bytes(SAVED[how])
    (study,) = list_studies("folder", tmp_path).studies
    words = (study.findings, study.impression.replace("\r", "\n"), study.labels)
    assert words == ("Rundherd 5,3 mm; links.", "Ein\nHerd.", {"Knoten": 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,findings,label:a;b;c;d\nct7,A; b.,1\n", {"findings": "A; b.", "label:a;b;c;d": "1"}),
        ("id;findings;remark, other\nct7;A, b.;C\n", {"findings": "A, b.", "remark, other": "C"}),
        ('id,"findings\nof all",findings\nct7,x,A\n', {"findings\nof all": "x", "findings": "A"}),
        ('id,6" x,findings\nct7,"y, z",A; b\n', {'6" x': "y, z", "findings": "A; b"}),
        ('ID;"Findings";\nct7;5,3 mm, left;\n', {"Findings": "5,3 mm, left", "": ""}),
    ],
)
def test_what_divides_the_columns_is_told_by_the_names_that_are_asked_for(
    tmp_path: Path, text: str, expected: dict[str, str]
) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(text)
    (row,) = read_table(path, one_of=(("id",), ("findings", "impression")))
    assert {name: value for name, value in row.items() if name.lower() != "id"} == expected


def test_tables_of_data_sets_may_be_saved_otherwise_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("seriesuid;coordX\n1.2;-3,5\n".encode("utf-16"))
    assert read_table(tmp_path / "a.csv", ("seriesuid", "coordX")) == [{"seriesuid": "1.2", "coordX": "-3,5"}]
    (tmp_path / "a.csv").write_text("image\n7\n")
    assert read_table(tmp_path / "a.csv", ("image",)) == [{"image": "7"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id;findings\nct7;A nodule; left.\n", "line 2 has 3 fields, expected 2"),
        (b"id^findings\nct7^A nodule, left.\n", "all is one column, expected commas, semicolons or tabs"),
        (b"name;text\n", "expected one of the columns id"),
        (b"", "expected one of the columns id"),
        (GERMAN.encode("utf-16")[:-1], "begins as UTF-16 text and is none to its end"),
    ],
)
def test_a_table_that_cannot_be_divided_is_refused_without_its_words(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "reports.csv"
    path.write_bytes(content)
    with pytest.raises(SimcropError, match=message) as caught:
        read_table(path, one_of=(("id",), ("findings",)))
    assert "nodule" not in caught.value.sentence


def test_an_endless_line_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.data.layouts.table.LONGEST_LINE", 50)
    path = tmp_path / "reports.csv"
    path.write_text("id,findings\n" + "x" * 49)
    with pytest.raises(SimcropError, match="1 fields, expected 2"):
        read_table(path)
    path.write_text("id,findings\n" + "x" * 500)
    with pytest.raises(SimcropError, match="50 characters or more"):
        read_table(path)


def test_a_name_in_a_sentence_is_one_short_line() -> None:
    assert brief("ct7") == "ct7"
    assert brief("ct\n 7") == "ct 7"
    assert brief("x" * 81) == "x" * 79 + "…"
    assert brief("x" * 80) == "x" * 80
