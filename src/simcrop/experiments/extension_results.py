"""What the experiment found: every arm on the test part, its differences to the others, and the aims it is held to.

No axes or units; rates and AUROCs are in [0, 1].
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from simcrop.data.split import Split
from simcrop.experiments.arms import MAE, PLUS, RANDOM, Arm
from simcrop.experiments.cached import Pooled
from simcrop.experiments.cohorts import SEEDS, Part
from simcrop.experiments.experiment import Experiment
from simcrop.experiments.scores import (
    Reached,
    hits_by_kind,
    reached_by_label,
    reached_by_pointing,
    reached_by_probe,
)
from simcrop.files.whole import read_json
from simcrop.metrics import Interval

CONTROLS = (
    "align_accuracy",
    "align_accuracy_blank",
    "align_accuracy_mispaired",
    "retrieval_auc",
    "effective_rank",
)


def gather_results(experiment: Experiment, chosen: Mapping[str, Pooled]) -> dict[str, Any]:
    """Everything that is said of one experiment, as plain values. `chosen`: how the patches of each arm are pooled, by
    their mean where nothing is said.
    """
    truth, patients = experiment.cohorts.labels("test"), experiment.cohorts.patients("test")
    probed: dict[str, Reached] = {}
    arms: dict[str, dict[str, Any]] = {}
    for arm in experiment.arms:
        pool: Pooled = chosen.get(arm.name, "mean")
        scores = experiment.scores(arm, "test", pool)
        probed[arm.name] = reached_by_probe(scores, truth, patients)
        arms[arm.name] = {
            "seeds": list(experiment.seeds_of(arm)),
            "pool": pool,
            "probe": figures(probed[arm.name]),
            "labels": dict(
                zip(
                    experiment.cohorts.plan.labels,
                    reached_by_label(scores, truth).tolist(),
                    strict=True,
                )
            ),
            **pointing_of(experiment, arm),
            **controls_of(experiment, arm),
        }
    plus = probed[PLUS.name]
    return {
        "arms": arms,
        "plus_over": {name: bounds(plus.over(other)) for name, other in probed.items() if name != PLUS.name},
        "scans": {part: len(experiment.cohorts.patients(part)) for part in parts_of(experiment)},
        "split_hash": Split(
            {
                f"{part}/{name}": part
                for part in parts_of(experiment)
                for name in experiment.cohorts.patients(part)
            },
            0,
            {},
        ).hash,
        "positives": dict(
            zip(experiment.cohorts.plan.labels, truth.sum(0).astype(int).tolist(), strict=True)
        ),
    }


def parts_of(experiment: Experiment) -> list[Part]:
    return [part for part in SEEDS if experiment.cohorts.path(part).is_dir()]


def pointing_of(experiment: Experiment, arm: Arm) -> dict[str, Any]:
    """Hit rates, where the method knows sentences."""
    pointed = experiment.answers(arm)
    if not pointed:
        return {}
    reached = reached_by_pointing(pointed)
    return {
        "pointing": {name: figures(rate) for name, rate in reached.items()},
        "pointing_over": {
            name: bounds(reached["hit"].over(reached[name])) for name in ("swapped", "prior", "chance")
        },
        "pointing_kinds": hits_by_kind(pointed),
        "pointing_sentences": len(pointed[0].patient),
    }


def controls_of(experiment: Experiment, arm: Arm) -> dict[str, Any]:
    """What the runs logged at their end on held-out studies of the pre-training part, averaged over seeds."""
    if not arm.trained:
        return {}
    logged = [read_json(experiment.run(arm, seed) / "metrics.json") for seed in experiment.seeds_of(arm)]
    found = {name: [run[name] for run in logged if name in run] for name in CONTROLS}
    controls = {name: float(np.mean(values)) for name, values in found.items() if values}
    return {"controls": controls} if controls else {}


def figures(reached: Reached) -> dict[str, Any]:
    return {**bounds(reached.interval()), "by_seed": reached.by_seed.tolist()}


def bounds(found: Interval) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def aims(results: dict[str, Any]) -> list[tuple[str, float, float, bool]]:
    """What it set out to reach: what, how much was reached, how much was aimed at, and whether it was met."""
    easy = results["easy"]
    arms = easy["arms"]
    plus, pointing = arms[PLUS.name]["probe"], arms[PLUS.name]["pointing"]
    hit = pointing["hit"]["value"]
    reached = [
        ("learnability: hand-made statistics", results["learnability"]["by_hand"], 0.83),
        ("learnability: supervised, mean-pooled", results["learnability"]["supervised_mean"], 0.78),
        ("plus, probe AUROC", plus["value"], 0.82),
        ("plus, probe AUROC of the worst seed", min(plus["by_seed"]), 0.79),
        ("plus over random init", plus["value"] - arms[RANDOM.name]["probe"]["value"], 0.12),
        ("plus over MAE", plus["value"] - arms[MAE.name]["probe"]["value"], 0.15),
        ("plus, pointing", hit, 0.30),
        ("plus, pointing, times a swapped sentence", hit / max(pointing["swapped"]["value"], 1e-9), 2.0),
        ("plus, pointing over the position prior", hit - pointing["prior"]["value"], 0.10),
    ]
    return [(what, value, aim, value >= aim) for what, value, aim in reached]
