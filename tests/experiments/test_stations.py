"""Stations of a long command: done once, and how long the rest takes is said before each."""

import json
from pathlib import Path

import pytest

from simcrop.experiments.stations import Station, minutes, run_stations, seconds_left


def test_a_station_that_is_done_is_not_repeated_and_what_is_left_is_said(tmp_path: Path) -> None:
    done: list[str] = []
    stations = [
        Station(name, lambda name=name: done.append(name), 60.0) for name in ("draw", "train", "look")
    ]
    (tmp_path / "seconds.json").write_text(json.dumps({"draw": 120.0}))
    told: list[str] = []
    seconds = run_stations(stations, tmp_path / "seconds.json", told.append)
    assert done == ["train", "look"]
    assert told[0] == "2/3 train; about 4 min left in all"  # this machine takes twice what was expected
    assert seconds == json.loads((tmp_path / "seconds.json").read_text())
    assert list(seconds) == ["draw", "train", "look"]


def test_what_failed_is_done_again(tmp_path: Path) -> None:
    def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        run_stations([Station("draw", fails, 1.0)], tmp_path / "seconds.json", lambda _: None)
    assert not (tmp_path / "seconds.json").exists()


def test_without_a_station_before_it_the_expectation_stands() -> None:
    assert seconds_left([Station("draw", int, 30.0), Station("train", int, 90.0)], []) == 120.0
    assert (minutes(120.0), minutes(80.0)) == ("2 min", "80 s")
