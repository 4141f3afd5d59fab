"""`simcrop reproduce ceiling`: what of each finding can be read with labels, before anything is learned without them.

No axes or units. Ceilings are read on the test part with nothing chosen; every reader leaves its figures and is not
asked again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from simcrop.config import load_recipe
from simcrop.data.split import some_patients
from simcrop.errors import SimcropError
from simcrop.evaluation.heads.learnability import (
    learnability_by_hand,
    learnability_supervised,
    statistics_of_patches,
)
from simcrop.experiments.arms import Arm, supervised
from simcrop.experiments.ceilings_text import write_texts
from simcrop.experiments.cohorts import Part, PhantomCohorts, Plan, draw_cohorts
from simcrop.experiments.experiment import Experiment
from simcrop.experiments.side_by_side import Say, Training, processors, run_all
from simcrop.files.whole import read_json, write_json
from simcrop.metrics import Macro
from simcrop.model import load
from simcrop.tasks.folder import open_folder, write_metrics

Size = Literal["tiny", "small"]
SIZES: dict[str, Size] = {"tiny": "tiny", "small": "small"}
SHARES = (1.0, 0.3, 0.1)  # of the labelled patients
WINDOWS = "[[-1, -0.9], [-0.9, -0.7], [-0.7, -0.3], [-0.3, -0.05], [-0.05, 0.12], [0.12, 1]]"
LINEAR = ("vision.stem=[linear]", f"vision.windows={WINDOWS}")
EPOCHS = 9  # a ceiling is no comparison at equal budget
LONGER = (f"optim.epochs={EPOCHS}",)
STATISTICS = ("vision.stem=[statistics]", "vision.cells=[2, 2, 2]", "vision.windows=[]")


@dataclass(frozen=True)
class Reader:
    """Something that is taught the labels of a `share` of the patients. `arm` None: a logistic regression on hand-made
    statistics, else an encoder.
    """

    arm: Arm | None = None
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"hand-made statistics{of_share(self.share)}" if self.arm is None else self.arm.name


def plan_of(size: Size) -> Plan:
    return Plan(pretrain=2400, probe=0, choose=0, test=400, difficulty="real", size=size)


def readers(labels: Sequence[str], base: str) -> tuple[Reader, ...]:
    """All of `reproduce ceiling`."""
    return (
        *(Reader(share=share) for share in SHARES),
        *(taught_statistics(labels, base, pool) for pool in ("mean", "max", "attention")),
        *(taught_statistics(labels, base, "max", share) for share in SHARES[1:]),
        taught_linear(labels, base),
        taught_cnn(labels, base),
    )


def of_share(share: float) -> str:
    return "" if share == 1 else f", {share:g} of the labels"


def taught_statistics(labels: Sequence[str], base: str, pool: str, share: float = 1.0) -> Reader:
    """The encoder of the comparison with the stem of statistics; as many steps, however few are labelled."""
    warmup = load_recipe(base).optim.warmup_epochs
    longer = (f"optim.epochs={round(EPOCHS / share)}", f"optim.warmup_epochs={warmup / share:g}")
    settings = (*STATISTICS, *(LONGER if share == 1 else longer), f"data.share={share}")
    return Reader(
        supervised(labels, pool, settings, base, f"taught, statistics stem{of_share(share)},"), share
    )


def taught_linear(labels: Sequence[str], base: str) -> Reader:
    """The same encoder with the paper's stem."""
    return Reader(supervised(labels, "max", (*LINEAR, *LONGER), base, "taught, linear stem,"))


def taught_cnn(labels: Sequence[str], base: str) -> Reader:
    """Convolutions that see across patches, at about the cost of the encoder."""
    cnn = supervised(labels, "max", ("init={}", "vision.dim=64", *LONGER), base, "taught, 3D CNN,")
    return Reader(replace(cnn, recipe="supervised-cnn-tiny"))


def reproduce_ceiling(
    out: Path,
    size: str = "small",
    common: Sequence[str] = (),
    say: Say = lambda _: None,
    resume: bool = False,
    overwrite: bool = False,
    plan: Plan | None = None,
    at_once: int | None = None,
) -> dict[str, Any]:
    """The whole study under `out`; its results, which `results.json`, `ceiling.md` and `report.html` hold too."""
    if size not in SIZES:
        raise SimcropError("bad-setting", f"--size {size}: expected {' or '.join(SIZES)}")
    plan = plan or plan_of(SIZES[size])
    settings = {"plan": asdict(plan), "common": list(common)}
    open_folder(out, "reproduce", {"table": "ceiling", **settings}, resume, overwrite)
    cohorts = draw_cohorts(out / "cohorts", plan, 200)
    experiment = Experiment(out, cohorts, (), (0,), tuple(common), labelled="pretrain")
    asked = readers(plan.labels, f"simcrop-plus-{size}")
    ceiling = find_ceilings(experiment, asked, out / "ceiling.json", at_once or processors(), say)
    truth = cohorts.labels("test")
    results = {
        "ceiling": ceiling,
        "size": size,
        "scans": {part: len(cohorts.patients(part)) for part in cohorts.parts},
        "positives": dict(zip(plan.labels, np.nansum(truth, 0).astype(int).tolist(), strict=True)),
        "voxels": voxels_of_lesions(cohorts, f"simcrop-plus-{size}", common),
    }
    write_json(out / "results.json", results)
    write_texts(out, results)
    write_metrics(out, results)
    return results


def find_ceilings(
    experiment: Experiment, asked: Sequence[Reader], path: Path, at_once: int, say: Say
) -> dict[str, dict[str, Any]]:
    """Macro AUROC and AUROC by finding of every reader, on the test part; kept in `path` reader by reader."""
    labels = experiment.cohorts.plan.labels
    known: dict[str, dict[str, Any]] = read_json(path) if path.exists() else {}

    def keep(name: str, macro: Macro) -> None:
        by_label = dict(zip(labels, map(float, macro.per_label), strict=True))
        known[name] = {"value": macro.value, "labels": by_label}
        write_json(path, known)
        say(f"ceiling: {name} {macro.value:.3f}")

    by_hand = [reader for reader in asked if reader.arm is None and reader.name not in known]
    if by_hand:
        say("hand-made statistics: some minutes on one core")
        for reader, macro in zip(by_hand, read_by_hand(experiment, by_hand), strict=True):
            keep(reader.name, macro)
    taught = {name: of for name, of in trainings_of(experiment, asked).items() if name not in known}
    run_all(list(taught.values()), at_once, say)
    test, truth = experiment.cohorts.open("test"), experiment.cohorts.labels("test")
    for name, training in taught.items():
        keep(name, learnability_supervised(load(training.folder), test, truth))
    return {reader.name: known[reader.name] for reader in asked}


def trainings_of(experiment: Experiment, asked: Sequence[Reader]) -> dict[str, Training]:
    """Of those that are encoders, by their names."""
    seed = experiment.seeds[0]
    return {of.name: experiment.training(of.arm, seed) for of in asked if of.arm is not None}


def read_by_hand(experiment: Experiment, asked: Sequence[Reader]) -> list[Macro]:
    """A logistic regression on hand-made statistics, on each reader's share of the labelled patients."""
    cohorts, seed = experiment.cohorts, experiment.seeds[0]
    recipe = load_recipe(f"simcrop-plus-{cohorts.plan.size}", list(experiment.common))

    def statistics(part: Part) -> np.ndarray:
        return statistics_of_patches(cohorts.open(part), recipe.input.spec, recipe.input.grid)

    known, unseen = statistics("pretrain"), statistics("test")
    labels, patients = cohorts.labels("pretrain"), cohorts.patients("pretrain")
    some = [some_patients(patients, reader.share, seed) for reader in asked]
    return [
        learnability_by_hand(known[of], labels[of], patients[of], unseen, cohorts.labels("test"), seed)
        for of in some
    ]


def voxels_of_lesions(cohorts: PhantomCohorts, recipe: str, common: Sequence[str]) -> dict[str, float]:
    """By finding, how many voxels of the input the middle one of its test lesions would fill."""
    voxel_ml = float(np.prod(load_recipe(recipe, list(common)).input.spacing_mm)) / 1000
    sizes: dict[str, list[float]] = {label: [] for label in cohorts.plan.labels}
    for sentence in cohorts.truth("test").sentences:
        if sentence.shows and sentence.finding in sizes and sentence.volume_ml is not None:
            sizes[sentence.finding].append(sentence.volume_ml / voxel_ml)
    return {label: median(found) for label, found in sizes.items() if found}
