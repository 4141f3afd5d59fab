"""The curve at toy size: every point a training of its own, kept, and a budget that stops it between two."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simcrop.experiments import scaling
from simcrop.experiments.cohorts import Plan, draw_cohorts
from simcrop.experiments.scaling import METHODS, PLAN, curve_points, reproduce_scaling

SMALL = (
    "input.spacing_mm=[5.5, 5.5, 10]",
    "input.shape=[48, 40, 32]",
    "input.patch=[8, 8, 4]",
    "optim.batch=4",
    "vision.depth=1",
    "vision.dim=48",
    "engine.monitor=0",
)
TOY = Plan(8, 8, 0, 8, "real")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """With no time at all first, then resumed to its end."""
    folder = tmp_path_factory.mktemp("scaling") / "out"
    common = (*SMALL, f"text.model={tiny_bert}", "text.report_length=96", "text.sentence_length=40")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "draw_cohorts", partial(draw_cohorts, workers=1))
        patch.setattr(scaling, "METHODS", METHODS[1:])
        patch.setattr("simcrop.experiments.scores.DRAWS", 20)
        patch.setattr("simcrop.evaluation.heads.probe.FOLDS", 1)
        run = partial(
            reproduce_scaling,
            folder,
            0,
            common,
            said.append,
            plan=TOY,
            patients=(8,),
            seen=(16,),
            at_once=1,
        )
        assert run(budget_hours=0.0)["points"] == []
        assert said[-1] == "the budget is used up: 0 of 3 points are measured"
        run(resume=True)
        models = {path: path.stat().st_mtime_ns for path in folder.rglob("model.safetensors")}
        run(resume=True)
    assert all(path.stat().st_mtime_ns == before for path, before in models.items())
    return folder


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def test_a_point_is_so_many_patients_and_so_many_scans_seen(out: Path) -> None:
    points = results(out)["points"]
    assert [(p["method"], p["patients"], p["seen"]) for p in points] == [
        ("Random init", 0, 0),
        *((method.name, patients, seen) for patients, seen in ((8, 16),) for method in METHODS[1:]),
    ]
    for run in (out / "runs").iterdir():
        if "random" in run.name:
            continue
        rows = (run / "journal.jsonl").read_text().splitlines()
        asked = json.loads((run / "run.json").read_text())["settings"]
        assert len(rows) == asked["optim.steps"] == 4
        assert asked["data.share"] == 1.0


def test_every_figure_has_its_interval_and_its_place_in_the_drawing(out: Path) -> None:
    for point in results(out)["points"]:
        asked = [point["probe"]]
        assert ("retrieval" in point) == ("pointing" in point) == (point["method"] != "MAE")
        if "retrieval" in point:
            asked += [point["retrieval"], point["pointing"]["hit"]]
        for found in asked:
            assert found["low"] <= found["value"] <= found["high"]
    assert list(results(out)["ceiling"]) == ["taught, statistics stem, max"]
    page, text = (out / "report.html").read_text(), (out / "scaling.md").read_text()
    assert page.count("<svg") == 6
    assert page.count("taught, statistics stem, max") == 2  # beside the probe, in both sections
    assert text.count("| MAE |") == 1
    assert "3 of 3 points are measured" in text


def test_the_full_curve_is_as_it_was_asked_for() -> None:
    planned = curve_points(PLAN, scaling.PATIENTS, scaling.SEEN)
    trained = planned[1:]
    assert {(place.patients, place.seen) for place in trained} == {
        (9600, 5600),
        (600, 22400),
        (2400, 22400),
        (9600, 22400),
        (9600, 89600),
    }
    for place in trained:
        recipe = place.arm.build(0)
        assert recipe.optim.steps == place.seen // recipe.optim.batch
        assert recipe.data.share * PLAN.pretrain == pytest.approx(place.patients)
        warm = recipe.optim.warmup_epochs * place.patients / recipe.optim.batch
        assert warm == pytest.approx(recipe.optim.steps / 10, rel=0.01)
        assert recipe.optim.epochs * place.patients >= place.seen
