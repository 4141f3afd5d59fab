"""The demo at toy size: every station leaves its files, the page shows them, and a second call repeats nothing."""

import json
from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.experiments.demo import demo

SMALL = ["optim.steps=2", "optim.batch=4", "vision.depth=1", "checkpoint.every=2"]
PROMISED = {
    "probe_auroc",
    "probe_auroc_random",
    "pointing_hit",
    "pointing_hit_swapped",
    "pointing_prior",
    "retrieval_auc",
    "align_accuracy",
    "align_accuracy_blank",
    "align_accuracy_mispaired",
    "effective_rank",
    "seconds",
}


TRAINED = {"probe_auroc_mae", "probe_auroc_mispaired", "learnability_supervised"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    demo(folder, seed=1, patients=14, overrides=SMALL, at_once=1)
    return folder


def test_demo_measures_all_that_it_promises(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics.keys() >= PROMISED
    assert not metrics.keys() & TRAINED
    assert 0 <= metrics["pointing_hit"] <= 1
    assert 0 < metrics["pointing_chance"] < 0.5
    assert metrics["effective_rank"] > 1


def test_no_patient_is_in_two_parts(out: Path) -> None:
    parts = [out / "cohorts" / part / "raw" for part in ("pretrain", "probe", "test")]
    seeds = [json.loads((raw / "run.json").read_text())["settings"]["seed"] for raw in parts]
    assert len(set(seeds)) == 3
    first = [next((raw / "dataset").rglob("*.nii.gz")).read_bytes() for raw in parts]
    assert len(set(first)) == 3


def test_page_stands_alone_and_shows_every_station(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64") >= 4
    assert page.count("<svg") >= 4
    for word in ("Eq. 4", "not in the paper", "short demo", "at least"):
        assert word in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_resumed_demo_repeats_no_finished_station(out: Path) -> None:
    model = out / "runs" / "simcrop-plus" / "model" / "model.safetensors"
    before, seconds = model.stat().st_mtime_ns, (out / "seconds.json").read_text()
    demo(out, seed=1, patients=14, overrides=SMALL, resume=True, at_once=1)
    assert model.stat().st_mtime_ns == before
    assert (out / "seconds.json").read_text() == seconds


def test_with_controls_it_trains_them_and_the_page_says_so(out: Path, tmp_path: Path) -> None:
    demo(tmp_path / "again", seed=1, patients=14, overrides=SMALL, at_once=1, controls=True)
    metrics = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert metrics.keys() >= PROMISED | TRAINED
    assert metrics["probe_auroc"] == json.loads((out / "metrics.json").read_text())["probe_auroc"]
    page = (tmp_path / "again" / "report.html").read_text()
    assert "demo with trained controls" in page
    assert "trained as MAE" in page


def test_a_bad_setting_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="unknown setting"):
        demo(tmp_path / "out", patients=14, overrides=["optim.stepz=2"])
    assert not (tmp_path / "out").exists()
