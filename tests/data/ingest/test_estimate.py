"""What an ingest of many scans says of its cost: that it is so, that it is said once, and that it changes nothing."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.ingest.estimate import TRIED, WORTH_IT, Estimate, duration, raw_bytes, size
from simcrop.data.ingest.job import Job
from simcrop.data.ingest.target import StoreSettings

COUNT = WORTH_IT + 1
EXPECTED = Estimate(46, 4.6e9, 92e6, 7200.0, 3, 1e9)


@pytest.fixture
def many(tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path]) -> Path:
    for i in range(COUNT):
        save(tmp_path / f"raw/p{i:02d}/ct.nii.gz", scan(i, (19 + i % 3, 17, 13)))
    return tmp_path / "raw"


def test_estimate_holds_and_changes_nothing(
    many: Path, tmp_path: Path, content: Callable[[Path], dict[str, object]]
) -> None:
    estimates: list[Estimate] = []
    seen: list[int] = []
    ingest(
        many,
        "folder",
        tmp_path / "announced",
        progress=lambda done, *_: seen.append(done),
        announce=lambda estimate: (estimates.append(estimate), seen.append(-1))[0],
    )
    ingest(many, "folder", tmp_path / "plain")
    assert content(tmp_path / "announced") == content(tmp_path / "plain")
    assert seen == [*range(1, TRIED + 1), -1, *range(TRIED + 1, COUNT + 1)]
    (estimate,) = estimates
    stored = [p.stat().st_size for p in (tmp_path / "announced/volumes").iterdir()]
    assert estimate.scans == COUNT - TRIED
    assert 0.8 < estimate.stored_bytes / (sum(stored) * estimate.scans / COUNT) < 1.25
    raw = sum(p.stat().st_size for p in many.glob("*/*.nii.gz"))
    assert 0.8 < estimate.raw_bytes / (raw * estimate.scans / COUNT) < 1.25
    assert 0 < estimate.seconds < 600
    assert estimate.fits


def test_few_scans_to_do_need_no_estimate(many: Path, tmp_path: Path) -> None:
    for i in range(TRIED):
        (many / f"p{i:02d}/ct.nii.gz").unlink()
    estimates: list[Estimate] = []
    ingest(many, "folder", tmp_path / "c", announce=estimates.append)
    assert estimates == []


def test_tried_scans_that_are_refused_leave_an_estimate(many: Path, tmp_path: Path) -> None:
    for path in many.glob("*/*.nii.gz"):
        path.write_bytes(b"torn")
    estimates: list[Estimate] = []
    assert ingest(many, "folder", tmp_path / "c", announce=estimates.append).refused == COUNT
    assert estimates[0].stored_bytes == 0


def test_archive_of_many_scans_counts_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "NCP-1.zip", "w") as archive:
        archive.writestr("NCP/1/2/0.png", b"")
    jobs = [
        Job(id, tmp_path / path, None, StoreSettings(), tmp_path / id, "", count)
        for id, path, count in (
            ("a", "NCP-1.zip/NCP/1/2", 900),
            ("b", "NCP-1.zip/NCP/1/3", 900),
            ("c", "ct.nii", 70),
        )
    ]
    assert raw_bytes(jobs) == {"a": 450, "b": 450, "c": 70}


def test_line_says_who_does_what_in_how_long() -> None:
    assert EXPECTED.sentence == (
        "46 scans left to do, 4.6 GB to read. Judging by 4 done on one core: about 2 hours with 3 at work, "
        "92 MB to write, 1 GB free"
    )
    assert [duration(s) for s in (3.0, 100.0, 3599.0, 36_000.0)] == [
        "about a minute",
        "about 2 minutes",
        "about 60 minutes",
        "about 10 hours",
    ]
    assert [size(n) for n in (12.0, 1e4, 2.345e12, 5e15)] == ["12 B", "10 KB", "2.35 TB", "5e+03 TB"]


@pytest.mark.parametrize(("free", "warned"), [(10**12, False), (1000, True)])
def test_command_says_it_once_and_warns_of_a_full_target(
    many: Path,
    tmp_path: Path,
    simcrop: Callable,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    warned: bool,
) -> None:
    monkeypatch.setattr(
        "simcrop.data.ingest.estimate.shutil.disk_usage", lambda _: type("Usage", (), {"free": free})()
    )
    ran = simcrop("ingest", many, "--out", tmp_path / "c")
    assert ran.code == 0
    assert ran.err.count("scans left to do") == 1
    assert ("warning" in ran.err) is warned
    assert "p03" not in ran.err
