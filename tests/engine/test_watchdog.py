"""A run that stands still: stacks in files, one line, once for each time. Two processes: test_company.py."""

from pathlib import Path
from threading import Event, Thread

import pytest

from simcrop.engine.watchdog import Watchdog, watched


def test_tells_once_for_each_time_it_stands_still(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    dog, path = Watchdog(tmp_path, 3, 2.0, True, lambda: now[0]), tmp_path / "stacks-3.txt"
    for second, told in ((119, 0), (120, 1), (500, 1)):
        now[0] = second
        dog.look()
        assert (path.read_text().count("no step for") if path.exists() else 0) == told
    dog.step(7)
    dog.look()
    now[0] = 620.0
    dog.look()
    text = path.read_text()
    assert text.count("no step for 2 minutes after step") == 2
    assert "in test_tells_once_for_each_time_it_stands_still" in text
    lines = capfd.readouterr().err.splitlines()
    assert (
        lines[1]
        == f"no step for 2 minutes after step 7; where each process is, say the stacks-*.txt in {tmp_path}"
    )
    assert len(lines) == 2


def test_folder_that_cannot_be_written_costs_the_stacks_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Watchdog(tmp_path / "gone", 0, 2.0, True).tell()
    assert "cannot be written: No such file" in capfd.readouterr().err
    Watchdog(tmp_path / "gone", 1, 2.0, False).tell()
    assert capfd.readouterr().err == ""


def test_looks_from_beside_whatever_hangs(tmp_path: Path) -> None:
    written = Event()

    def await_stacks() -> None:
        while not (tmp_path / "stacks-0.txt").exists():
            written.wait(0.005)
        written.set()

    Thread(target=await_stacks, daemon=True).start()
    with watched(tmp_path, 0, 0.02 / 60, False):
        assert written.wait(20)


def test_zero_minutes_look_after_nothing(tmp_path: Path) -> None:
    with watched(tmp_path, 0, 0.0, False) as dog:
        dog.step(1)
        assert not Event().wait(0.05)
    assert list(tmp_path.iterdir()) == []
