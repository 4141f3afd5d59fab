"""The journal: whole lines only, and none from after the checkpoint that a run resumes from."""

import resource
import signal
from pathlib import Path

import pytest

from simcrop.engine.journal import DAMAGED, Journal, read_journal
from simcrop.files.whole import StoreError


def written(path: Path, steps: int) -> Path:
    journal = Journal(path, 0)
    for step in range(1, steps + 1):
        journal.write({"step": step, "loss": step / 7})
    journal.close()
    return path


def test_rows_read_back_as_they_were_written(tmp_path: Path) -> None:
    rows = read_journal(written(tmp_path / "journal.jsonl", 3))
    assert rows == [{"step": s, "loss": s / 7} for s in (1, 2, 3)]


def test_a_row_is_on_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", 0)
    journal.write({"step": 1})
    assert read_journal(tmp_path / "journal.jsonl") == [{"step": 1}]
    journal.close()


def test_torn_last_line_is_ignored_and_gone_after_resume(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.jsonl", 4)
    path.write_text(path.read_text() + '{"step": 5, "lo')
    assert [row["step"] for row in read_journal(path)] == [1, 2, 3, 4]
    journal = Journal(path, 4)
    journal.write({"step": 5})
    journal.close()
    assert path.read_text().splitlines()[-1] == '{"step": 5}'
    assert [row["step"] for row in read_journal(path)] == [1, 2, 3, 4, 5]


def test_a_damaged_row_costs_itself_alone_and_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "journal.jsonl", 6)
    before = path.read_bytes().replace(b'{"step": 3', b'{"st\x00p": 3')
    path.write_bytes(before)
    Journal(path, 5).close()
    assert [row["step"] for row in read_journal(path)] == [1, 2, 4, 5]
    assert (tmp_path / DAMAGED).read_bytes() == before
    assert "1 of the rows of 5 steps are damaged or gone" in capsys.readouterr().err
    Journal(path, 5).close()
    assert (tmp_path / DAMAGED).read_bytes() == before
    assert "lies beside" not in capsys.readouterr().err


def test_a_whole_journal_is_continued_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "journal.jsonl", 4)
    path.write_text(path.read_text() + '{"step": 5, "lo')
    Journal(path, 4).close()
    assert capsys.readouterr().err == ""
    assert not (tmp_path / DAMAGED).exists()
    path.unlink()
    Journal(path, 4).close()
    assert "4 of the rows of 4 steps are damaged or gone" in capsys.readouterr().err


def test_resume_forgets_rows_after_the_checkpoint(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.jsonl", 9)
    Journal(path, 6).close()
    assert [row["step"] for row in read_journal(path)] == [1, 2, 3, 4, 5, 6]


def test_new_run_starts_an_empty_journal(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.jsonl", 3)
    Journal(path, 0).close()
    assert read_journal(path) == []


def test_no_journal_has_no_rows(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "nothing.jsonl") == []


def test_rows_that_a_full_disk_refuses_are_written_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, 0)
    journal.write({"step": 1})
    journal.secure()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        journal.write({"step": 2})
        journal.write({"step": 3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b'{"step": 1}\n{"step":'  # what there was room for
    with pytest.raises(StoreError, match=r"journal\.jsonl: the disk is full"):
        journal.secure()
    journal.write({"step": 4})
    journal.secure()
    journal.close()
    assert [row["step"] for row in read_journal(path)] == [1, 2, 3, 4]


def test_row_that_is_being_written_is_none_that_the_disk_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.jsonl", 0)

    class Meanwhile:
        """A file in whose writing a checkpoint asks whether all rows are there."""

        def write(self, line: bytes, file=journal.file) -> int:
            monkeypatch.setattr(journal, "file", file)
            journal.secure()
            return file.write(line)

    monkeypatch.setattr(journal, "file", Meanwhile())
    journal.write({"step": 1})
    assert read_journal(tmp_path / "journal.jsonl") == [{"step": 1}]
    journal.close()
