"""What a running job says of its pace."""

from simcrop.engine.progress import Pace, clock_time


def test_pace_counts_only_what_this_run_did() -> None:
    times = iter([100.0, 102.0, 108.0])
    pace = Pace("scans", lambda: next(times))
    assert pace(41, 100) == "0.5 scans/s, 0:01:58 left"
    assert pace(44, 100) == "0.5 scans/s, 0:01:52 left"


def test_hours_are_not_lost() -> None:
    assert clock_time(3600 * 31 + 65.4) == "31:01:05"
