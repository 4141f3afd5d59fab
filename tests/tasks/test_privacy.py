"""What must stay with the user: names and ids from headers, reports, and the sentences asked for."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

PATIENT, FINDING = "Zebrafinch^Quilla", "An umbrageous nodule. No wombatlike effusion."
SECRETS = ("zebrafinch", "quilla", "umbrageous", "wombatlike")


def spoken(folder: Path, but: tuple[str, ...] = ()) -> str:
    """Every file name below the folder and every byte in the files, but for those meant to hold what was asked."""
    if not folder.exists():
        return ""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    parts = [str(p.relative_to(folder)).encode() for p in files]
    for path in files:
        if path.name not in but:
            raw = path.read_bytes()
            parts.append(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    return b"\n".join(parts).decode("latin-1").lower()


def secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text.lower()]


@pytest.fixture
def series(chests: dict[str, Callable[..., Path]], line, tmp_path: Path) -> Path:
    """A DICOM series of a phantom patient with a name, and a report beside it."""
    from simcrop.data.readers import read_volume

    hu = read_volume(line.scan).hu.round().astype("<i2")
    folder = chests["dicom"](tmp_path / "raw/series", hu, patient=PATIENT)
    (tmp_path / "raw/series.txt").write_text(FINDING)
    return folder


@pytest.mark.parametrize("way", ["sentence", "sentence=", "report"])
def test_ground_shows_the_sentence_on_its_page_and_nowhere_else(
    simcrop: Callable, line, series: Path, way: str, tmp_path: Path
) -> None:
    arguments = {
        "sentence": ("--sentence", FINDING),
        "sentence=": (f"--sentence={FINDING}",),
        "report": ("--report", series.with_name("series.txt")),
    }[way]
    ran = simcrop("ground", line.run, series, *arguments, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert secrets_in(ran.out + ran.err) == []
    assert secrets_in(spoken(tmp_path / "out", but=("report.html", "sentence_01.png"))) == []
    assert "umbrageous" in (tmp_path / "out/report.html").read_text()
    assert "zebrafinch" not in spoken(tmp_path / "out")


def test_failing_ground_repeats_nothing(simcrop: Callable, line, series: Path, tmp_path: Path) -> None:
    sorted(series.iterdir())[3].unlink()
    ran = simcrop("ground", line.run, series, "--sentence", FINDING, "--out", tmp_path / "out")
    assert "missing" in ran.refusal
    assert secrets_in(ran.err) == []
    for words in (
        ("--sentence", *FINDING.split()),
        ("--sentense", FINDING),
        ("--top-k", "0", "--sentence", FINDING),
    ):
        ran = simcrop("ground", line.run, series, "--out", tmp_path / "out", *words)
        assert secrets_in(ran.refusal) == []


def test_unforeseen_fault_does_not_repeat_what_it_was_about(
    simcrop: Callable, line, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*_: object, **__: object) -> None:
        raise KeyError(FINDING)

    monkeypatch.setattr("simcrop.tasks.grounding.ground.draw_cuts", burst)
    ran = simcrop("ground", line.run, series, "--sentence", FINDING, "--out", tmp_path / "out")
    assert secrets_in(ran.refusal) == []
    assert "KeyError in tasks/grounding/ground.py line" in ran.refusal
    assert not (tmp_path / "out").exists()


def test_embed_repeats_nothing(simcrop: Callable, line, series: Path, tmp_path: Path) -> None:
    ran = simcrop("embed", line.run, series, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert secrets_in(ran.out + ran.err + spoken(tmp_path / "out")) == []


def test_ingest_and_pretraining_keep_reports_in_the_cohorts_table(
    simcrop: Callable, line, series: Path, tmp_path: Path
) -> None:
    shutil.copytree(series, tmp_path / "raw/torn")
    sorted((tmp_path / "raw/torn").iterdir())[3].unlink()
    (tmp_path / "raw/reports.csv").write_text(f'id,findings\nseries,"{FINDING}"\n')
    ran = simcrop("ingest", tmp_path / "raw", "--out", tmp_path / "c", "--spacing", "5.5,5.5,10")
    assert ran.code == 1
    assert secrets_in(ran.out + ran.err) == []
    assert secrets_in(spoken(tmp_path / "c", but=("studies.parquet",))) == []
    assert secrets_in(str(pl.read_parquet(tmp_path / "c/ledger.parquet").to_dicts())) == []

    settings = [word for setting in line.SETTINGS for word in ("--set", setting)]
    more = ("--recipe", "simcrop-tiny", "--set", "optim.batch=1", "--set", "optim.steps=1")
    ran = simcrop("pretrain", tmp_path / "c", "--out", tmp_path / "run", *settings, *more)
    assert ran.code == 0, ran.err
    assert secrets_in(ran.out + ran.err + spoken(tmp_path / "run")) == []
