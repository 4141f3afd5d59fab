"""The demo at toy size: every station leaves its files, the page shows them, and a second call repeats nothing."""

import json
from pathlib import Path

import pytest

from simcrop.tasks.demo import demo

SMALL = ["optim.steps=3", "optim.batch=4", "vision.depth=1", "report_decoder.depth=1", "checkpoint.every=2"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    demo(folder, seed=1, patients=14, overrides=SMALL)
    return folder


def test_demo_runs_the_whole_line(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["pretrain_steps"] == 3
    assert metrics["pointing_sentences"] > 0
    assert 0 < metrics["pointing_chance"] < 0.5
    assert set(json.loads((out / "seconds.json").read_text())) >= {"phantom", "ingest", "pretrain", "embed"}
    assert (out / "embed" / "embeddings.parquet").is_file()
    assert (out / "run" / "model" / "model.safetensors").is_file()


def test_page_stands_alone_and_shows_every_station(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64") >= 2
    assert page.count("<svg") >= 4
    for word in ("Eq. 4", "volumes per second", "phantom", "ground"):
        assert word in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_resumed_demo_repeats_no_finished_station(out: Path) -> None:
    before = (out / "run" / "model" / "model.safetensors").stat().st_mtime_ns
    seconds = (out / "seconds.json").read_text()
    demo(out, seed=1, patients=14, overrides=SMALL, resume=True)
    assert (out / "run" / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert (out / "seconds.json").read_text() == seconds
