"""`simcrop reproduce natural`: what is learned on natural anatomies with all 18 findings, beside what could be.

No axes or units. Every step leaves a file and is not repeated: killed anywhere, it resumes. Nothing is chosen on the
test part: patches are pooled by their mean, labels are those of the pre-training part.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.evaluation.learnability import (
    learnability_by_hand,
    learnability_supervised,
    statistics_of_patches,
)
from simcrop.experiments.arms import Arm, supervised
from simcrop.experiments.cached import POOLS
from simcrop.experiments.cohorts import Part, Plan, draw_cohorts
from simcrop.experiments.experiment import Experiment
from simcrop.experiments.natural_text import write_texts
from simcrop.experiments.scores import reached_by_probe, tells_presence
from simcrop.experiments.side_by_side import Say, processors, train_all
from simcrop.experiments.table3_results import figures, gather_results
from simcrop.files.whole import read_json, write_json
from simcrop.model import load
from simcrop.tasks.folder import open_folder, write_metrics

BASE = "simcrop-plus-small"
PLAN = Plan(pretrain=2400, probe=0, choose=0, test=400, difficulty="real", size="small")
SHARE = 0.1  # of the labelled patients, for a second probe
WINDOWS = "[[-1, -0.9], [-0.9, -0.7], [-0.7, -0.3], [-0.3, -0.05], [-0.05, 0.12], [0.12, 1]]"
LINEAR = ("vision.stem=[linear]", f"vision.windows={WINDOWS}")

RANDOM = Arm("Random init", BASE, trained=False, base=BASE)
MAE = Arm("MAE", "mae-tiny", base=BASE)
PLUS = Arm("SimCroP plus", BASE, base=BASE)
MISPAIRED = Arm("SimCroP plus, mispaired scans", BASE, ("data.mispaired=true",), base=BASE)
ARMS = (RANDOM, MAE, PLUS, MISPAIRED)
PARTS = (
    Arm("without Eq. 4", BASE, ("align.use_sa=false",), base=BASE),
    Arm("Eq. 4 at a tenth", BASE, ("align.weight=0.1",), base=BASE),
    Arm("without masked words", BASE, ("mlm.weight=0",), base=BASE),
    Arm("without the cross-image term", BASE, ("align.cross_image=false", "align.weight=1"), base=BASE),
    Arm("attention in every step", BASE, ("align.cross_image.skip_attention=0",), base=BASE),
    Arm("attention in no step", BASE, ("align.cross_image.skip_attention=1",), base=BASE),
    Arm("whole patches", BASE, ("vision.cells=[1, 1, 1]",), base=BASE),
    Arm("linear stem", BASE, LINEAR, base=BASE),
)


def reproduce_natural(
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    common: Sequence[str] = (),
    say: Say = lambda _: None,
    resume: bool = False,
    overwrite: bool = False,
    plan: Plan = PLAN,
    at_once: int | None = None,
) -> dict[str, Any]:
    """The whole experiment under `out`; its results, which `results.json`, `natural.md` and `report.html` hold too.

    `common` changes every arm's recipe. `at_once`: how many arms are trained at once, one per core if not given.
    """
    settings = {"seeds": list(seeds), "plan": asdict(plan), "common": list(common)}
    open_folder(out, "reproduce", {"table": "natural", **settings}, resume, overwrite)
    at_once = at_once or processors()
    cohorts = draw_cohorts(out / "cohorts", plan, min(seeds) + 200)
    experiment = Experiment(out, cohorts, (*ARMS, *PARTS), tuple(seeds), tuple(common), labelled="pretrain")
    ceiling = find_ceilings(experiment, out / "ceiling.json", at_once, say)
    experiment.train(at_once, say)
    results = gather_results(experiment, {}) | {"ceiling": ceiling, "share": SHARE}
    truth, patients = cohorts.labels("test"), cohorts.patients("test")
    for arm in experiment.arms:
        scores = experiment.scores(arm, "test", "mean", SHARE)
        found = results["arms"][arm.name]
        found["probe_share"] = figures(reached_by_probe(scores, truth, patients))
        if "pointing" in found:
            answers = [experiment.features(arm, seed, "test").pointed for seed in experiment.seeds_of(arm)]
            found["tells_presence"] = figures(tells_presence([a for a in answers if a is not None]))
    write_json(out / "results.json", results)
    write_texts(out, results)
    write_metrics(out, results)
    return results


def find_ceilings(experiment: Experiment, path: Path, at_once: int, say: Say) -> dict[str, dict[str, Any]]:
    """What can be read with labels, macro AUROC and by finding: hand-made statistics with a logistic regression, and
    the same encoder, with the linear stem and with ours, taught the labels; on the test part, with nothing chosen.
    """
    if not path.exists():
        cohorts, seed = experiment.cohorts, experiment.seeds[0]
        recipe, truth = PLUS.build(seed, experiment.common), cohorts.labels("test")

        def statistics(part: Part) -> np.ndarray:
            return statistics_of_patches(cohorts.open(part), recipe.input.spec, recipe.input.grid)

        say("hand-made statistics: some minutes on one core")
        known = cohorts.labels("pretrain"), cohorts.patients("pretrain")
        found = {
            "hand-made statistics": learnability_by_hand(
                statistics("pretrain"), *known, statistics("test"), truth, seed
            )
        }
        arms = {
            f"{name}, {pool}": supervised(cohorts.plan.labels, pool, stem, BASE, name)
            for name, stem in (("taught, our stem", ()), ("taught, linear stem", LINEAR))
            for pool in POOLS
        }
        trainings = [experiment.training(arm, seed) for arm in arms.values()]
        train_all(trainings, at_once, say)
        for name, training in zip(arms, trainings, strict=True):
            found[name] = learnability_supervised(load(training.folder), cohorts.open("test"), truth)
        labels = cohorts.plan.labels
        write_json(
            path,
            {
                name: {
                    "value": macro.value,
                    "labels": dict(zip(labels, map(float, macro.per_label), strict=True)),
                }
                for name, macro in found.items()
            },
        )
    ceiling = read_json(path)
    say("ceilings: " + ", ".join(f"{name} {found['value']:.3f}" for name, found in ceiling.items()))
    return ceiling
