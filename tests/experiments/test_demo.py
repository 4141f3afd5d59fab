"""The demo at toy size: every station leaves its files, the page shows them, and a second call repeats nothing."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simcrop.errors import SimcropError
from simcrop.experiments.cohorts import PhantomCohorts, Plan, draw_cohort
from simcrop.experiments.demo import Demo, demo

LEAST_PICTURES = 4
SMALL = ["optim.steps=2", "optim.batch=4", "vision.depth=1", "vision.dim=48", "checkpoint.every=2"]
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


@pytest.fixture(scope="module", autouse=True)
def quicker() -> Iterator[None]:
    """How a penalty is chosen is tested with the probe; `short` and `controls` must choose it alike. Scans are drawn in
    this process, and as many pictures as are asked for.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simcrop.experiments.demo.draw_cohort", partial(draw_cohort, workers=1))
        patch.setattr("simcrop.evaluation.heads.probe.FOLDS", 1)
        patch.setattr("simcrop.experiments.demo_page.PICTURES", LEAST_PICTURES)
        yield


@pytest.fixture(scope="module")
def settings(tiny_bert: Path) -> dict[str, Any]:
    """A demo of seconds: few patients, a thin network, a small text encoder."""
    text = (f"text.model={tiny_bert}", "text.report_length=64", "text.sentence_length=40")
    return {"seed": 1, "patients": 14, "overrides": [*SMALL, *text], "at_once": 1}


@pytest.fixture(scope="module")
def with_controls(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]) -> Path:
    """Everything trained that can be."""
    folder = tmp_path_factory.mktemp("demo") / "controls"
    demo(folder, **settings, controls=True)
    return folder


@pytest.fixture(scope="module")
def out(with_controls: Path, settings: dict[str, Any]) -> Path:
    """The short demo: its cohorts, its run and its features are those of the other, so only the rest is done."""
    folder = with_controls.with_name("short")
    shutil.copytree(
        with_controls, folder, ignore=shutil.ignore_patterns("found.json", "report.html", "metrics.json")
    )
    shutil.copy(with_controls / "runs/simcrop-plus/metrics.json", folder / "runs/simcrop-plus/metrics.json")
    run = json.loads((folder / "run.json").read_text())
    run["settings"]["controls"] = False
    (folder / "run.json").write_text(json.dumps(run))
    seconds = json.loads((folder / "seconds.json").read_text())
    del seconds["probes and sentences"]
    (folder / "seconds.json").write_text(json.dumps(seconds))
    demo(folder, **settings, resume=True)
    return folder


def test_demo_measures_all_that_it_promises(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics.keys() >= PROMISED
    assert not metrics.keys() & TRAINED
    assert 0 <= metrics["pointing_hit"] <= 1
    assert 0 < metrics["pointing_chance"] < 0.5
    assert metrics["effective_rank"] > 1


def test_no_patient_is_in_two_parts(out: Path) -> None:
    parts = [out / "cohorts" / part / "raw" for part in ("pretrain", "test")]
    seeds = [json.loads((raw / "run.json").read_text())["settings"]["seed"] for raw in parts]
    assert len(set(seeds)) == 2
    first = [next((raw / "dataset").rglob("*.nii.gz")).read_bytes() for raw in parts]
    assert len(set(first)) == 2


def test_page_stands_alone_and_shows_every_station(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64") >= LEAST_PICTURES
    assert page.count("<svg") >= 4
    for word in ("Eq. 4", "not in the paper", "short demo", "at least"):
        assert word in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_resumed_demo_repeats_no_finished_station(
    out: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.experiments.demo_page.PICTURES", 1)  # the page is no station
    model = out / "runs" / "simcrop-plus" / "model" / "model.safetensors"
    before, seconds = model.stat().st_mtime_ns, (out / "seconds.json").read_text()
    demo(out, **settings, resume=True)
    assert model.stat().st_mtime_ns == before
    assert (out / "seconds.json").read_text() == seconds


def test_with_controls_it_trains_them_and_the_page_says_so(with_controls: Path, out: Path) -> None:
    metrics = json.loads((with_controls / "metrics.json").read_text())
    assert metrics.keys() >= PROMISED | TRAINED
    assert metrics["probe_auroc"] == json.loads((out / "metrics.json").read_text())["probe_auroc"]
    page = (with_controls / "report.html").read_text()
    assert "demo with trained controls" in page
    assert "trained as MAE" in page


def test_the_short_demo_trains_one_network(out: Path) -> None:
    plan = Plan(14, 0, 0, 20, difficulty="real", size="small")
    short = Demo(out, PhantomCohorts(out / "cohorts", plan), 1, (), controls=False)
    assert [training.arm.name for training in short.trainings() if training.arm.trained] == ["SimCroP plus"]


def test_a_bad_setting_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="unknown setting"):
        demo(tmp_path / "out", 0, patients=14, overrides=["optim.stepz=2"])
    assert not (tmp_path / "out").exists()
