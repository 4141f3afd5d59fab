"""What is tried and chosen for a row before the test is opened: its learning rate, and how its features are pooled."""

import json
from typing import Any

import pytest

from simcrop.errors import SimcropError
from simcrop.experiments.tables.candidates import (
    RATES,
    Candidate,
    candidates,
    choose,
    left_open,
    rated,
    trials,
)
from simcrop.experiments.tables.jobs import Pretrain, Probe, Untrained
from simcrop.experiments.tables.planning import Setup, plan


def test_the_choice_reads_the_validation_cohort_alone(setup: Setup) -> None:
    asked = [of.probe for of in candidates("table1", setup, {})]
    assert {job.cohort for job in asked} == {setup.places.cohort("ct-rate", "choose")}
    assert {job.seed for job in asked} == {0}
    test = {job.cohort for job in plan("table1", setup)}
    assert setup.places.cohort("ct-rate", "choose") not in test


def test_every_row_is_tried_at_every_rate_with_the_first_seed(setup: Setup) -> None:
    tried = trials("table1", setup, {})
    assert {job.seed for job in tried} == {0}
    base = next(job.built for job in plan("table1", setup) if isinstance(job, Pretrain)).optim.lr
    rates: dict[str, list[float]] = {}
    for job in tried:
        if isinstance(job, Pretrain):
            rates.setdefault(job.row, []).append(round(job.built.optim.lr / base, 3))
    twice = {"labels-first": 2}  # the training that it starts from is at the same rate
    for key, found in rates.items():
        assert found == [rate for rate in RATES for _ in range(twice.get(key, 1))], key
    (random,) = [job for job in tried if job.row == "random"]
    assert isinstance(random, Untrained)
    assert len({job.folder for job in tried}) == len(tried)


def chosen_for(rates: dict[str, float]) -> dict[str, dict[str, Any]]:
    return {row: {"rate": rate, "pool": "mean", "validation_auroc": {}} for row, rate in rates.items()}


def test_the_rate_that_won_is_that_of_every_seed_and_its_run_is_kept(setup: Setup) -> None:
    rates = {row.key: 1.0 for row in setup.sources.rows("table1")} | {"mae": 4.0, "labels-first": 2.0}
    chosen = chosen_for(rates)
    after = rated(setup, chosen)
    assert trials("table1", after, chosen) == candidates("table1", after, chosen) == []
    tried = {job.folder: job for job in trials("table1", setup, {})}
    jobs = [job for job in plan("table1", after) if isinstance(job, Pretrain)]
    assert all(tried[job.folder] == job for job in jobs if job.seed == 0)
    rate = {job.row: job.built.optim.lr for job in jobs if job.seed == 1}
    assert rate["mae"] == pytest.approx(4 * rate["simcrop"])
    assert rate["labels-first"] == pytest.approx(2 * rate["simcrop"])
    probes = [job for job in plan("table1", after) if isinstance(job, Probe) and job.row == "mae"]
    assert {job.model for job in probes} == {setup.places.out / f"runs/mae-at-4/{n}" for n in (0, 1)}


def test_simcrop_with_a_part_changed_is_trained_at_the_rate_of_simcrop(setup: Setup) -> None:
    first = {(job.row, job.folder.parent.name) for job in trials("table3", setup, {})}
    assert first == {("simcrop", name) for name in ("simcrop", "simcrop-at-2", "simcrop-at-4")}
    chosen = chosen_for({"simcrop": 2.0})
    after = rated(setup, chosen)
    then = trials("table3", after, chosen)
    assert {job.folder.parent.name for job in then} == {
        f"{row.key}-at-2" for row in setup.sources.rows("table3") if row.key != "simcrop"
    }
    lrs = [job.built.optim.lr for job in plan("table3", after) if isinstance(job, Pretrain)]
    assert len(set(lrs)) == 1
    assert len({job.row for job in then}) == len(then) == 5
    assert {(of.row, of.rate) for of in candidates("table3", after, chosen)} == {
        (job.row, 2.0) for job in then
    }


AUROCS = {("mae", 1, "mean"): 0.6, ("mae", 1, "max"): 0.5, ("mae", 2, "mean"): 0.7, ("mae", 2, "max"): 0.8}
BEST = {
    "rate": 2,
    "pool": "max",
    "validation_auroc": {"1": {"mean": 0.6, "max": 0.5}, "2": {"mean": 0.7, "max": 0.8}},
}
LOST = SimcropError("non-finite-loss", "step 3: the loss is not finite")
FULL = SimcropError("no-space", "no space left on the device")


@pytest.fixture
def judged(setup: Setup) -> list[Candidate]:
    """Those of two rows; of MAE two rates have been judged, of DINO none."""
    every = [of for of in candidates("table1", setup, {}) if of.row in ("mae", "dino")]
    for of in every:
        if (auroc := AUROCS.get((of.row, of.rate, of.pool))) is not None:
            of.probe.folder.mkdir(parents=True)
            (of.probe.folder / "metrics.json").write_text(json.dumps({"macro_auroc": auroc}))
    return every


def of_rate(every: list[Candidate], row: str, *rates: float) -> list[Candidate]:
    return [of for of in every if of.row == row and of.rate in rates]


def test_the_best_that_was_judged_is_written_down_and_what_diverged_has_lost(
    setup: Setup, judged: list[Candidate]
) -> None:
    failed = {of.probe.model: LOST for of in of_rate(judged, "mae", 4)}
    assert choose(setup.places, judged, failed) == {"mae": BEST}
    assert json.loads(setup.places.chosen.read_text()) == {"mae": BEST}


@pytest.mark.parametrize("where", ["model", "folder"])
def test_nothing_is_chosen_before_a_rate_was_tried_that_failed_for_another_reason(
    setup: Setup, judged: list[Candidate], where: str
) -> None:
    failed = {getattr(of.probe, where): FULL for of in of_rate(judged, "mae", 4)}
    assert choose(setup.places, judged, failed) == {}
    assert choose(setup.places, judged, {}) == {}
    waiting = left_open("table1", setup, {}, failed)
    assert waiting["mae"].sentence == "no learning rate was chosen: no space left on the device"
    last = {of.probe.model: LOST for of in of_rate(judged, "mae", 4)}
    assert choose(setup.places, judged, last) == {"mae": BEST}


def test_a_row_that_diverges_at_every_rate_and_what_follows_it_are_left_open(setup: Setup) -> None:
    every = candidates("table3", setup, {})
    failed = {of.probe.model: LOST for of in every}
    assert choose(setup.places, every, failed) == {}
    waiting = {row: why.sentence for row, why in left_open("table3", setup, {}, failed).items()}
    assert waiting.pop("simcrop") == "no learning rate was chosen: it diverges at every rate"
    assert len(waiting) == 5
    for why in waiting.values():
        assert why == "no learning rate was chosen: simcrop, whose learning rate it takes, has none yet"
