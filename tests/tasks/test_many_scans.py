"""Every scan once, a bad one refused, a full disk for all; the time left is that of all scans."""

from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.files.whole import StoreError
from simcrop.tasks import many_scans
from simcrop.tasks.many_scans import Row, Tell, each_scan, folder_of_results, nothing_done
from simcrop.tasks.scans import Scan, Unread

SCANS = [Scan(name, Path(name)) for name in "abc"]


def test_what_was_done_is_not_done_again_and_the_bad_one_does_not_end_the_rest() -> None:
    asked = []

    def do(scan: Scan, _: Tell) -> Row:
        asked.append(scan.id)
        if scan.id == "b":
            raise SimcropError("unreadable", "b is torn")
        return {"of": scan.id}

    rows, refused = each_scan("try", SCANS, lambda scan: {"kept": 1} if scan.id == "a" else None, do)
    assert asked == ["b", "c"]
    assert rows == {"a": {"kept": 1}, "c": {"of": "c"}}
    assert refused == [Unread("b", "unreadable", "b is torn")]


def test_where_nothing_can_be_written_the_job_ends() -> None:
    def full(*_: object) -> Row:
        raise StoreError("disk-full", "no space left")

    with pytest.raises(StoreError):
        each_scan("try", SCANS, lambda _: None, full)


def test_the_parts_of_a_scan_are_told_with_the_time_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(many_scans, "show_progress", lambda _: lambda *of: told.append(of))

    def do(_: Scan, tell: Tell) -> Row:
        tell(2, 4)
        return {}

    each_scan("try", SCANS[:2], lambda _: None, do, "windows")
    assert [(done, of) for done, of, _ in told] == [(0, 2), (1, 2), (1, 2), (2, 2)]
    assert told[0][2].startswith("window 2 of 4; ")
    assert "windows/s" in told[0][2]
    assert "scans/s" in told[2][2]


def test_an_empty_folder_of_results_goes_again(tmp_path: Path) -> None:
    with folder_of_results(tmp_path / "masks"):
        pass
    assert not (tmp_path / "masks").exists()
    with folder_of_results(tmp_path / "masks"):
        (tmp_path / "masks" / "a").write_text("")
    assert (tmp_path / "masks" / "a").exists()


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        ([], "no scan to look at"),
        ([Unread("a", "torn", "a is torn")], "a is torn"),
        ([Unread("a", "torn", "a is torn")] * 2, "none of 2 scans could be marked; of the first: a is torn"),
    ],
)
def test_where_nothing_was_done_one_line_says_why(refused: list[Unread], sentence: str) -> None:
    assert nothing_done(refused, "could be marked").sentence == sentence
