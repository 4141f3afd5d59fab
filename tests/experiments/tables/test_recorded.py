"""Runs and probes that are not those of the plan are refused, by the first setting that differs."""

import json
from pathlib import Path
from typing import Any

import pytest

from simcrop.config import flat
from simcrop.errors import SimcropError
from simcrop.experiments.tables.jobs import Job, Pretrain, Probe
from simcrop.experiments.tables.origins import Digests, refuse_other_origins
from simcrop.experiments.tables.recorded import refuse_other_recipes
from simcrop.files.digest import digest_of_files
from simcrop.tasks.record import plain
from simcrop.tasks.training.pinned import pinned

PROBED = {"seed": 0, "pool": "mean", "head": "logistic", "baselines": False, "shares": [0.1, 1.0]}


def done(job: Job, settings: dict[str, Any], **more: object) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "run.json").write_text(json.dumps({"verb": job.verb, "settings": settings, **more}))
    (job.folder / "metrics.json").write_text("{}")


@pytest.fixture
def training(tmp_path: Path) -> Pretrain:
    """Done, from 2D weights."""
    cohort, weights = tmp_path / "cohort", tmp_path / "mae.safetensors"
    cohort.mkdir()
    (cohort / "studies.parquet").write_text("studies")
    weights.write_text("weights")
    job = Pretrain("simcrop", 0, tmp_path / "run", cohort, "simcrop-tiny", (f"init.mae={weights}",))
    settings = {**plain(flat(job.built)), **pinned(job.built)}
    settings["cohort"] = digest_of_files(cohort / "studies.parquet")
    done(job, settings, start={"sha256": digest_of_files(weights)})
    return job


def refuse(job: Job) -> None:
    refuse_other_recipes([job])
    refuse_other_origins([job], (), Digests())


def changed(job: Job, name: str, value: object) -> None:
    run = json.loads((job.folder / "run.json").read_text())
    done(job, {**run["settings"], name: value}, start=run.get("start"))


def test_a_run_of_the_plan_stands(training: Pretrain) -> None:
    refuse(training)


@pytest.mark.parametrize("name", ["digests.text.encoder", "digests.text.vocabulary", "optim.lr", "cohort"])
def test_a_run_of_another_recipe_text_encoder_or_cohort_is_refused(training: Pretrain, name: str) -> None:
    changed(training, name, "another")
    with pytest.raises(SimcropError, match=f"{name} = 'another', the plan has") as told:
        refuse(training)
    assert told.value.reason == "other-recipe"


def test_a_run_from_other_2d_weights_is_refused(training: Pretrain, tmp_path: Path) -> None:
    (tmp_path / "mae.safetensors").write_text("imported again")
    with pytest.raises(SimcropError, match=r"has results of another model than .*mae\.safetensors"):
        refuse(training)


def test_what_an_older_run_has_not_recorded_is_not_asked_for(training: Pretrain) -> None:
    run = json.loads((training.folder / "run.json").read_text())
    done(training, {name: of for name, of in run["settings"].items() if not name.startswith("digests.")})
    refuse_other_recipes([training])


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 7), ("pool", "max"), ("head", "linear"), ("shares", [0.1]), ("shares", [0.5, 1.0])],
)
def test_a_probe_with_other_options_is_refused(tmp_path: Path, name: str, value: object) -> None:
    job = Probe("simcrop", 0, tmp_path / "probe", tmp_path / "cohort", tmp_path / "model", (0.1, 1.0))
    done(job, PROBED)
    refuse_other_recipes([job])
    done(job, PROBED | {name: value})
    with pytest.raises(SimcropError, match=f"was run with {name} = "):
        refuse_other_recipes([job])
    (job.folder / "metrics.json").unlink()  # made anew
    refuse_other_recipes([job])


def test_a_share_that_was_too_small_may_be_missing(tmp_path: Path) -> None:
    job = Probe("simcrop", 0, tmp_path / "probe", tmp_path / "cohort", tmp_path / "model", (0.01, 0.1, 1.0))
    done(job, PROBED)
    refuse_other_recipes([job])
