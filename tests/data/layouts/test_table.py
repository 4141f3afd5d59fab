"""Tables from outside: a damaged head line is refused without quoting what may be a patient's report."""

from pathlib import Path

import pytest

from simcrop.data.layouts import list_studies
from simcrop.data.layouts.table import read_table
from simcrop.errors import SimcropError

SECRET = "A nodule in the left upper lobe."


def refused(path: Path, text: str, needed: tuple[str, ...]) -> SimcropError:
    path.write_text(text)
    with pytest.raises(SimcropError) as error:
        read_table(path, needed)
    return error.value


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
