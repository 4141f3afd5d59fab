"""`benchmarks/ingest.py` and `load.py` on tiny scans: what they print, and that all ways agree."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def report_of(tmp_path: Path, script: str, *words: str) -> dict[str, Any]:
    written = tmp_path / "report.json"
    command = [sys.executable, str(SCRIPTS / script), *words, "--json", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report == json.loads(written.read_text())
    return report


def test_ingest_is_measured_beside_inflating_and_names_who_was_missing(tmp_path: Path) -> None:
    report = report_of(tmp_path, "ingest.py", "--size", "tiny", "--repeats", "1")
    assert {"ours", "antialiased", "inflating", "simpleitk"} <= set(report["seconds"])
    assert set(report["not_measured"]) | set(report["seconds"]) >= {"monai"}
    assert report["times_ours"]["ours"] == {"median": 1, "least": 1, "most": 1}
    assert report["ours_over_inflating"]["median"] > 0
    assert report["raw_mb"] >= report["compressed_mb"]


def test_workers_are_measured_on_whole_calls_and_on_further_scans(tmp_path: Path) -> None:
    words = ("--workers", "2", "--scans", "12", "--size", "tiny", "--repeats", "1")
    report = report_of(tmp_path, "ingest.py", *words)
    assert (report["scans"], report["workers"]) == (12, 2)
    assert len(report["seconds"]) == 4
    assert set(report["faster_per_further_scan"]) == {"median", "least", "most"}


def test_every_way_of_reading_a_stored_scan_gives_the_same_input(tmp_path: Path) -> None:
    """The script itself compares them, to half a HU."""
    report = report_of(tmp_path, "load.py", "--size", "tiny", "--repeats", "1")
    assert {"nii.gz float32", "ours, lz4", "ours, raw"} <= set(report["milliseconds"])
    assert report["faster_than_nii_gz_float32"]["nii.gz float32"]["median"] == 1
    assert report["mb"]["ours, lz4"] < report["mb"]["ours, raw"] < report["mb"]["nii.gz float32"] * 2
