"""Stations of a long command: each is done once, its seconds are kept on disk, and how long the rest takes is said.

Seconds; no axes. An interrupted command goes on at the station where it stopped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcrop.files.whole import read_json, write_json


@dataclass(frozen=True)
class Station:
    """`expected_s`: what it took on some machine; how much faster this one is shows as the stations pass."""

    name: str
    work: Callable[[], Any]
    expected_s: float


def run_stations(stations: list[Station], path: Path, tell: Callable[[str], None]) -> dict[str, float]:
    """Seconds of every station by its name, those of an earlier call included; `path` keeps them."""
    seconds: dict[str, float] = read_json(path) if path.exists() else {}
    for place, station in enumerate(stations):
        if station.name in seconds:
            continue
        left = seconds_left(stations[place:], [(s.expected_s, seconds[s.name]) for s in stations[:place]])
        tell(f"{place + 1}/{len(stations)} {station.name}; about {minutes(left)} left in all")
        started = time.perf_counter()
        station.work()
        seconds[station.name] = time.perf_counter() - started
        write_json(path, seconds)
    return seconds


def seconds_left(to_do: list[Station], done: list[tuple[float, float]]) -> float:
    """What is expected of the rest, times what this machine took for the stations before it, of what was expected."""
    expected, took = sum(e for e, _ in done), sum(t for _, t in done)
    return sum(station.expected_s for station in to_do) * (took / expected if expected else 1.0)


def minutes(seconds: float) -> str:
    """`7 min`, or seconds when there are few."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
