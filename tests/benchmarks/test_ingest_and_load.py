"""`benchmarks/ingest.py` and `load.py` on tiny scans: all ways agree, and what they print is right.

Axes: x, y, z. Where seconds are judged, planted work takes them, so that every figure is known beforehand.
"""

from argparse import Namespace
from collections.abc import Callable
from importlib.util import find_spec
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from simcrop.data.preprocess import InputSpec
from simcrop.data.store.cohort import open_cohort
from simcrop.phantom.grid import SIZES

SHAPE = SIZES["tiny"][0]
CHOSEN = Namespace(clock="wall", repeats=3, workers=2, scans=8)

Script = Callable[[str], ModuleType]


@pytest.mark.filterwarnings("ignore:::monai")
def test_ingest_is_measured_beside_inflating_and_names_who_was_missing(
    script: Script, report_of: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = script("ingest")
    begin = ingest.memory_in_a_process
    # One way's memory in a process of its own; the others', which would each import all of theirs again, in this one.
    monkeypatch.setattr(
        ingest,
        "memory_in_a_process",
        lambda name, *scans: (begin if name == "ours" else ingest.memory_over_imports)(name, *scans),
    )
    report = report_of("ingest", "--size", "tiny", "--repeats", "1")
    assert all(memory >= 0 for memory in report["mb_over_imports"].values())
    measured = {"ours", "antialiased", "inflating", "simpleitk"} | (
        {"monai"} if find_spec("monai") else set()
    )
    for column in ("seconds", "times_ours", "mb_over_imports"):
        assert set(report[column]) == measured
    assert report["not_measured"] == sorted({"monai"} - measured)
    assert report["raw_mb"] == round((352 + 2 * prod(SHAPE)) / 1e6, 1)  # a NIfTI header and int16 voxels


def test_a_way_that_takes_four_times_as_long_is_said_to(
    script: Script, planted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ingest = script("ingest")
    ways = {
        "ours": planted.work("ours", 50, 2, 2, 2),  # the first round compiles, and does not count
        "inflating": planted.work("inflating", 50, 1, 1, 4),
        "monai": planted.work("monai", 50, 8, 8, 7),
    }
    monkeypatch.setattr(ingest, "WAYS", {**ways, "nobody": ways["ours"]})
    monkeypatch.setattr(ingest, "NEEDS", {"nobody": "a_package_that_nobody_has"})
    monkeypatch.setattr(ingest, "perf_counter", planted.now)
    monkeypatch.setattr(ingest, "memory_in_a_process", lambda name, *_: float(len(name)))
    scan = ingest.write_phantom(tmp_path / "scan.nii.gz", "tiny")
    report = ingest.measure(scan, scan, CHOSEN)
    assert planted.done == ["ours", "inflating", "monai"] * 4
    assert report["seconds"] == {"ours": 2, "inflating": 1, "monai": 8}
    assert report["times_ours"]["monai"] == {"median": 4, "least": 3.5, "most": 4}
    assert report["ours_over_inflating"] == {"median": 2, "least": 0.5, "most": 2}
    assert report["mb_over_imports"] == {"ours": 4, "inflating": 9, "monai": 5}
    assert report["not_measured"] == ["nobody"]


def test_ours_and_simpleitk_make_the_same_volume(script: Script, tmp_path: Path) -> None:
    """Or their seconds could not be compared."""
    ingest = script("ingest")
    scan = ingest.write_phantom(tmp_path / "scan.nii.gz", "tiny")
    ours, theirs = ingest.ours(scan), ingest.simpleitk(scan)
    turned = theirs.transpose(2, 1, 0)[::-1, ::-1]  # LPS as z, y, x
    assert ours.shape == turned.shape
    assert np.abs(ours.astype(float) - turned).max() <= 1


def test_workers_are_measured_on_whole_calls_and_on_further_scans(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ingest, calls = script("ingest"), []

    def ingest_copies(_: Path, folder: Path, count: int, workers: int) -> float:
        calls.append((folder, count, workers))
        return 10.0 + 6 * count if workers == 1 else 12.0 + 4 * count

    monkeypatch.setattr(ingest, "ingest_copies", ingest_copies)
    report = ingest.scaling(tmp_path / "scan.nii.gz", tmp_path, CHOSEN)
    assert [call[1:] for call in calls] == [(4, 1), (8, 1), (4, 2), (8, 2)] * 3
    assert len({folder for folder, _, _ in calls}) == 12, "every ingest is a new one"
    assert report["seconds"] == {
        "1 process(es), 4 scans": 34,
        "1 process(es), 8 scans": 58,
        "2 process(es), 4 scans": 28,
        "2 process(es), 8 scans": 44,
    }
    assert report["faster_whole_call"]["median"] == round(58 / 44, 2)
    assert report["faster_per_further_scan"] == {"median": 1.5, "least": 1.5, "most": 1.5}
    assert report["seconds_per_further_scan"] == 6


def test_workers_ingest_as_many_copies_as_are_counted(script: Script, tmp_path: Path) -> None:
    ingest = script("ingest")
    scan = ingest.write_phantom(tmp_path / "scan.nii.gz", "tiny")
    ingest.ingest_copies(scan, tmp_path / "copies", 3, 2)
    assert len(open_cohort(tmp_path / "copies/cohort")) == 3


def test_loading_is_reported_for_every_way_and_file(report_of: Callable[..., dict[str, Any]]) -> None:
    """The script itself compares what they give, to half a HU."""
    report = report_of("load", "--size", "tiny", "--repeats", "1")
    assert set(report["faster_than_nii_gz_float32"]) == set(report["milliseconds"])
    assert len(report["milliseconds"]) == 7
    assert set(report["mb"]) <= set(report["milliseconds"])
    assert report["mb"]["ours, raw"] == round((128 + 2 * prod(report["shape"])) / 1e6, 2)  # an .npy of int16
    assert report["mb"]["ours, lz4"] < 0.9 * report["mb"]["ours, raw"]


def some_hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1024, 1500, (40, 30, 20)).astype(np.float32)


@pytest.fixture
def small_input(script: Script, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`load.py` for an input that is smaller than the scan along x and larger along z."""
    load = script("load")
    monkeypatch.setattr(load, "paper", InputSpec(shape=(32, 30, 24)))
    monkeypatch.setattr(load, "CROP", (16, 16, 8))
    return load


def test_every_way_of_reading_a_stored_scan_gives_the_same_input(
    small_input: ModuleType, tmp_path: Path
) -> None:
    ways, files = small_input.store(some_hu(), tmp_path)
    whole = ways["ours, raw"]()
    assert whole.shape == (32, 30, 24)
    for name, way in ways.items():
        if "crop of" in name:
            np.testing.assert_array_equal(way(), whole[8:24, 7:23, 8:16], err_msg=name)
        else:
            np.testing.assert_allclose(way(), whole, atol=6e-4, err_msg=name)
    assert all(path.is_file() for path in files.values())


def test_a_way_that_reads_something_else_is_no_way(
    small_input: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ways, files = small_input.store(some_hu(), tmp_path)
    wrong = ways | {"ours, lz4": lambda: ways["ours, raw"]() + 2e-3}
    monkeypatch.setattr(small_input, "store", lambda *_: (wrong, files))
    with pytest.raises(AssertionError, match="ours, lz4"):
        small_input.measure(some_hu(), tmp_path, CHOSEN)


def test_milliseconds_and_how_much_faster_are_those_of_the_planted_work(
    small_input: ModuleType, planted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ways, files = small_input.store(some_hu(), tmp_path)
    costs = {"nii.gz float32": (9, 6, 6, 4), "ours, raw": (9, 2, 3, 4)}

    def after(name: str) -> Callable[[], np.ndarray]:
        work = planted.work(name, *costs[name])
        return lambda: (work(), ways[name]())[1]

    monkeypatch.setattr(small_input, "store", lambda *_: ({name: after(name) for name in costs}, files))
    monkeypatch.setattr(small_input, "perf_counter", planted.now)
    report = small_input.measure(some_hu(), tmp_path, CHOSEN)
    assert planted.done == list(costs) * 4
    assert report["milliseconds"] == {"nii.gz float32": 6000, "ours, raw": 3000}
    assert report["faster_than_nii_gz_float32"]["ours, raw"] == {"median": 2, "least": 1, "most": 3}
    assert report["mb"] == {name: round(path.stat().st_size / 1e6, 2) for name, path in files.items()}


def test_cores_that_feed_a_gpu_are_told_from_the_most_processes_that_were_measured(
    small_input: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small_input.store(some_hu(), tmp_path)
    rate = {".b2nd": 50.0, ".npy": 200.0}
    monkeypatch.setattr(small_input.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(
        small_input,
        "volumes_per_s",
        lambda path, _, processes, __: processes * rate[path.suffix] * (1.0 if processes == 1 else 0.9),
    )
    report = small_input.feeding(some_hu(), tmp_path, Namespace(workers=[1, 4, 16], volumes=5))
    assert (report["cores_here"], report["left_out"], report["eaten_by_an_h200"]) == (4, [16], 678)
    assert report["lz4"]["volumes_per_s"] == {"1": 50.0, "4": 180.0}
    assert report["lz4"]["cores_for_an_h200"] == 16  # 678 / 45, and never less
    assert report["raw"]["cores_for_an_h200"] == 4
    assert report["fewest_cores"] == "raw"
    mb = (tmp_path / "scan.npy").stat().st_size / 1e6
    assert report["raw"]["disk_gb_per_s_for_an_h200"] == round(678 * mb / 1e3, 2)


def test_what_no_core_is_there_for_is_left_out_and_has_no_number(
    small_input: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small_input.store(some_hu(), tmp_path)
    monkeypatch.setattr(small_input.os, "sched_getaffinity", lambda _: {0}, raising=False)
    report = small_input.feeding(some_hu(), tmp_path, Namespace(workers=[2], volumes=5))
    assert report["left_out"] == [2]
    assert report["lz4"]["volumes_per_s"] == {}
    assert "cores_for_an_h200" not in report["lz4"]
    assert report["fewest_cores"] is None


def test_a_loading_process_reads_for_real(small_input: ModuleType, tmp_path: Path) -> None:
    small_input.store(some_hu(), tmp_path)
    assert small_input.volumes_per_s(tmp_path / "scan.npy", some_hu().shape, 1, 2) > 0
