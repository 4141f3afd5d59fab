"""`simcrop reproduce extension`: what each part of the method is worth, on phantoms whose truth is known.

No axes or units. Every step leaves a file and is not repeated: killed anywhere, it resumes. The test part is opened
once, after everything that is chosen has been chosen on another part and written down.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.features import Pooling
from simcrop.evaluation.heads.learnability import (
    learnability_by_hand,
    learnability_supervised,
    statistics_of_patches,
)
from simcrop.experiments.arms import (
    ATLAS,
    BASE,
    CT_CLIP,
    FULL_ATTENTION,
    MAE,
    MISPAIRED,
    MIXED,
    NO_SA,
    PAPER,
    PLAIN,
    PLUS,
    RANDOM,
    Arm,
    supervised,
)
from simcrop.experiments.cached import POOLS
from simcrop.experiments.cohorts import Part, Plan, draw_cohorts
from simcrop.experiments.experiment import Experiment
from simcrop.experiments.extension_results import gather_results
from simcrop.experiments.extension_text import write_texts
from simcrop.experiments.scores import reached_by_probe
from simcrop.experiments.side_by_side import Say, processors, run_all
from simcrop.files.whole import read_json, write_json
from simcrop.model import load
from simcrop.tasks.folder import open_folder, write_metrics

# The recipes' own input, and one of voxels half as long, in patches of the same mm.
INPUTS = {
    "tiny": (),
    "small": (
        "input.spacing_mm=[2.75, 2.75, 5]",
        "input.shape=[96, 96, 48]",
        "input.patch=[16, 16, 8]",
    ),
}
EASY = Plan(pretrain=600, probe=220, choose=220, test=320)
HARD = Plan(pretrain=600, probe=220, choose=0, test=320, difficulty="real")
ARMS = (RANDOM, MAE, NO_SA, PAPER, PLUS, CT_CLIP)
BESIDE = (
    MISPAIRED,
    Arm("Random init, plain input", BASE, PLAIN, trained=False, seeds=1),
    Arm("SimCroP plus, plain input", BASE, PLAIN, seeds=1),
    Arm("Random init, atlas", BASE, ATLAS, trained=False, seeds=1),
    Arm("SimCroP plus, atlas", BASE, ATLAS, seeds=1),
    Arm("SimCroP plus, patches never alone", BASE, MIXED),
    Arm("MAE, attention from the start", "mae-tiny", FULL_ATTENTION, seeds=1),
)
HARDER = (
    Arm("Random init", BASE, trained=False, seeds=1),
    Arm("MAE", "mae-tiny", seeds=1),
    Arm("SimCroP plus", BASE, seeds=1),
)


def reproduce_extension(
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    size: str = "tiny",
    common: Sequence[str] = (),
    say: Say = lambda _: None,
    resume: bool = False,
    overwrite: bool = False,
    easy: Plan = EASY,
    hard: Plan = HARD,
    at_once: int | None = None,
) -> dict[str, Any]:
    """The whole experiment under `out`; its results, which `results.json`, `extension.md` and `report.html` hold too.

    `size`: of scans and inputs, `tiny` or, for a GPU, `small`. `common` changes every arm's recipe. `at_once`: how many
    arms are trained at once, one per core if not given.
    """
    if size not in INPUTS:
        raise SimcropError("bad-setting", f"--size {size}: expected {' or '.join(INPUTS)}")
    easy, hard, common = replace(easy, size=size), replace(hard, size=size), (*INPUTS[size], *common)
    settings = {"seeds": list(seeds), "easy": asdict(easy), "hard": asdict(hard), "common": list(common)}
    open_folder(out, "reproduce", {"table": "extension", **settings}, resume, overwrite)
    experiments = {
        name: Experiment(
            out / name, draw_cohorts(out / name / "cohorts", plan, at), arms, tuple(seeds), tuple(common)
        )
        for at, (name, plan, arms) in enumerate(
            (("easy", easy, (*ARMS, *BESIDE)), ("hard", hard, HARDER)), start=min(seeds) + 100
        )
    }
    at_once = at_once or processors()
    learnable = check_learnability(experiments["easy"], out / "learnability.json", at_once, say)
    for experiment in experiments.values():
        experiment.train(at_once, say)
    chosen = choose(experiments["easy"], out / "chosen.json", say)
    say("the test part is opened")
    results = {"learnability": learnable, "chosen": chosen} | {
        name: gather_results(experiment, chosen) for name, experiment in experiments.items()
    }
    write_json(out / "results.json", results)
    write_texts(out, results)
    write_metrics(out, results)
    return results


def check_learnability(experiment: Experiment, path: Path, at_once: int, say: Say) -> dict[str, float]:
    """Before any comparison: hand-made statistics, and the same encoder taught the labels; on the choosing part."""
    if not path.exists():
        cohorts, seed = experiment.cohorts, experiment.seeds[0]
        recipe = PLUS.build(seed, experiment.common)

        def statistics(part: Part) -> np.ndarray:
            return statistics_of_patches(cohorts.open(part), recipe.input.spec, recipe.input.grid)

        by_hand = learnability_by_hand(
            statistics("probe"),
            cohorts.labels("probe"),
            cohorts.patients("probe"),
            statistics("choose"),
            cohorts.labels("choose"),
            seed,
        ).value
        trainings = [experiment.training(supervised(cohorts.plan.labels, pool), seed) for pool in POOLS]
        run_all(trainings, at_once, say)
        taught = {
            f"supervised_{pool}": learnability_supervised(
                load(training.folder), cohorts.open("choose"), cohorts.labels("choose")
            ).value
            for pool, training in zip(POOLS, trainings, strict=True)
        }
        write_json(path, {"by_hand": by_hand} | taught)
    learnable = read_json(path)
    say("learnability: " + ", ".join(f"{name} {value:.3f}" for name, value in learnable.items()))
    return learnable


def choose(experiment: Experiment, path: Path, say: Say) -> dict[str, Pooling]:
    """How each arm's patches are pooled: the better way on the choosing part, written down before the test."""
    if not path.exists():
        cohort: Cohort = experiment.cohorts.open("choose")
        truth, patients = experiment.cohorts.labels("choose"), cohort.index["patient"].to_numpy()
        chosen = {}
        for arm in experiment.arms:
            means = {
                pool: reached_by_probe(experiment.scores(arm, "choose", pool), truth, patients).mean
                for pool in POOLS
            }
            chosen[arm.name] = {"pool": max(means, key=lambda pool: means[pool]), **means}
            say(
                f"{arm.name}: {chosen[arm.name]['pool']} pooling, {max(means.values()):.3f} on the choosing part"
            )
        write_json(path, chosen)
    return {name: entry["pool"] for name, entry in read_json(path).items()}
