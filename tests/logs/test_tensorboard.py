"""Read back by TensorBoard itself: each step once, also for a TensorBoard that has been looking on."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.engine.journal import Row
from simcrop.logs.tensorboard import TensorBoard


@pytest.fixture(autouse=True)
def installed(needs: Callable[[str], None]) -> None:
    needs("tensorboard")


def accumulator(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0})


def curve(events: Any, tag: str) -> list[tuple[int, float]]:
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def write(folder: Path, rows: list[Row]) -> None:
    sink = TensorBoard(folder)
    for row in rows:
        sink.write(row)
    sink.close()


def test_every_number_is_a_scalar_of_its_step(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "tb", rows)
    events = accumulator(tmp_path / "tb")
    assert curve(events, "painted") == [(1, 1.5), (2, 3.0), (3, 4.5), (4, 6.0), (6, 9.0)]
    assert curve(events, "monitored/gap") == [(3, -0.5)]
    assert curve(events, "unread") == [(4, 2.0)]
    assert curve(events, "skipped") == [(5, 1.0)]
    assert set(events.Tags()["scalars"]) == {
        *("epoch", "loss", "painted", "lr", "unread", "skipped", "monitored/gap", "monitored/AUROC (all)")
    }


@pytest.mark.parametrize(
    "later", [0.0, -60.0]
)  # by the clock: in the same ms, and on a machine that is behind
def test_one_who_looks_on_sees_no_step_twice_when_a_run_goes_on_from_an_earlier_step(
    tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch, later: float
) -> None:
    now = time.time()
    monkeypatch.setattr("simcrop.logs.tensorboard.time.time", lambda: now)
    first = TensorBoard(tmp_path / "tb")
    monkeypatch.setattr("simcrop.logs.tensorboard.time.time", lambda: now + later)
    for row in rows[:4]:
        first.write(row)
    onlooker = accumulator(tmp_path / "tb")
    assert [step for step, _ in curve(onlooker, "loss")] == [1, 2, 3, 4]  # while it is still written
    again = [{**row, "loss": 100.0} for row in rows[2:]]
    write(tmp_path / "tb", [*rows[:2], *again])  # from the checkpoint of step 2
    first.close()
    fresh = accumulator(tmp_path / "tb")
    expected = [(1, 8.0), (2, 4.0), *((step, 100.0) for step in (3, 4, 5, 6))]
    assert curve(fresh, "loss") == expected
    assert curve(onlooker, "loss") == expected


def test_a_torn_file_of_a_killed_run_is_whole_again(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "tb", rows)
    (file,) = (tmp_path / "tb").iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    for _ in range(2):
        write(tmp_path / "tb", rows)
    emptied, whole = sorted((tmp_path / "tb").iterdir())  # however often it went on
    assert (emptied.stat().st_size, whole.stat().st_size > 100) == (0, True)
    assert [step for step, _ in curve(accumulator(tmp_path / "tb"), "lr")] == [1, 2, 3, 4, 5, 6]


def test_no_name_of_a_study_is_in_the_file(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path / "tb", rows)
    (file,) = (tmp_path / "tb").iterdir()
    assert b"painted" in file.read_bytes()
    assert b"train_" not in file.read_bytes()
