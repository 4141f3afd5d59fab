"""`simcrop demo`: the main job end to end on phantoms, in minutes, beside what could refute it.

No axes or units. Raw scans of natural anatomies with any of 18 findings, and reports -> cohorts -> pre-training ->
probe, sentences and heat maps on patients that nothing was learned from. Some controls cost no training: a random
start, swapped sentences, the usual place, blank and mispaired scans. Others are trained when they are asked for: MAE,
mispaired reports, the labels themselves.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.evaluation.heads.learnability import learnability_supervised
from simcrop.evaluation.heads.probe import fit_probe
from simcrop.evaluation.pointing_game import score_pointing_game
from simcrop.evaluation.retrieval import measure_retrieval
from simcrop.experiments.arms import Arm, supervised
from simcrop.experiments.cached import CachedFeatures, cached_features
from simcrop.experiments.ceilings import STATISTICS
from simcrop.experiments.cohorts import Part, PhantomCohorts, Plan, draw_cohort
from simcrop.experiments.demo_page import write_page
from simcrop.experiments.natural import BASE, MAE, MISPAIRED, PLUS, POOL, RANDOM
from simcrop.experiments.side_by_side import Training, processors, run_all
from simcrop.experiments.stations import Station, run_stations
from simcrop.files.whole import read_json, write_json
from simcrop.metrics import effective_rank, macro_auroc
from simcrop.model import load
from simcrop.stderr import write_line
from simcrop.tasks.folder import open_folder, write_metrics

TESTED = 8  # of the patients an eighth as many more are tested on; probes learn from the labels of the first
# A short training of few patients: it stops within the epochs. With 720 patients more steps did not help.
BRIEF = ("optim.epochs=20", "optim.steps=200", "optim.warmup_epochs=2")
FEWER = ("engine.monitor=1",)  # the page shows the controls at the end
# What each part took on two cores without bf16 instructions, per patient or per step; all that --controls trains took
# 3.4 times as long as the method alone.
SECONDS = {"scan": 0.09, "step": 0.8, "look": 0.02}
STEPS_WITH_CONTROLS = 3.4


@dataclass(frozen=True)
class Demo:
    """Where its pieces lie. `common`: what is changed in every recipe; `controls`: whether some are trained."""

    out: Path
    cohorts: PhantomCohorts
    seed: int
    common: tuple[str, ...]
    controls: bool

    @property
    def arms(self) -> dict[str, Arm]:
        """Those that are probed, by the end of the names of their metrics; what takes longest comes first."""
        trained = {"_mispaired": MISPAIRED, "_mae": MAE} if self.controls else {}
        return {"": PLUS, **trained, "_random": RANDOM}

    @property
    def taught(self) -> Arm:
        """The learnability check: the encoder taught the labels."""
        return supervised(self.cohorts.plan.labels, "max", STATISTICS, BASE)

    def run(self, arm: Arm) -> Path:
        return self.out / "runs" / arm.key

    def trainings(self) -> list[Training]:
        arms = [*self.arms.values(), *([self.taught] if self.controls else [])]
        cohort = self.cohorts.path("pretrain")
        return [Training(arm, cohort, self.run(arm), self.seed, self.common) for arm in arms]

    def features(self, arm: Arm, part: Part) -> CachedFeatures:
        """Only the method itself is asked sentences."""
        truth = self.cohorts.truth(part) if part == "test" and arm == PLUS else None
        path = self.out / "features" / f"{arm.key}-{part}.npz"
        return cached_features(self.run(arm), self.cohorts.open(part), truth, path)

    def stations(self, at_once: int) -> list[Station]:
        """In their order, with what they are expected to take."""
        plan, trainings = asdict(self.cohorts.plan), self.trainings()
        optim = PLUS.build(self.seed, self.common).optim
        steps = optim.steps or optim.epochs * plan["pretrain"] / optim.batch
        looks = len(self.arms) * sum(plan[part] for part in self.cohorts.parts)
        parts = [
            Station(
                f"scans and reports, {part} part",
                lambda part=part: draw_cohort(self.cohorts, part, self.seed),
                SECONDS["scan"] * plan[part],
            )
            for part in self.cohorts.parts
        ]
        return [
            *parts,
            Station(
                "training",
                lambda: run_all(trainings, at_once, lambda name: tell(f"training: {name}")),
                SECONDS["step"] * steps * (STEPS_WITH_CONTROLS if self.controls else 1),
            ),
            Station(
                "probes and sentences",
                lambda: write_json(self.out / "found.json", measure(self)),
                SECONDS["look"] * looks,
            ),
        ]


def demo(
    out: Path,
    seed: int,
    patients: int,
    overrides: list[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    at_once: int | None = None,
    controls: bool = False,
) -> Path:
    """Run every station, each in its own folder under `out`; the page that shows them.

    `at_once`: how many arms are trained at once; if not given one per core where several are trained, else one on all
    cores. `controls`: MAE, mispaired reports and the labels themselves are trained, too.
    """
    plan = Plan(patients, 0, 0, max(20, patients // TESTED), difficulty="real", size="small")
    common = (*BRIEF, *FEWER, *(overrides or []))
    shown = Demo(out, PhantomCohorts(out / "cohorts", plan), seed, common, controls)
    PLUS.build(seed, common)  # a bad setting is told before anything is written
    settings = {
        "seed": seed,
        "plan": asdict(plan),
        "common": list(common),
        "controls": controls,
    }
    open_folder(out, "demo", settings, resume, overwrite)
    at_once = at_once or (processors() if controls else 1)
    seconds = run_stations(shown.stations(at_once), out / "seconds.json", tell)
    metrics = read_json(out / "found.json") | {"seconds": sum(seconds.values())}
    write_metrics(out, metrics)
    return write_page(shown.run(PLUS), shown.cohorts, metrics, seconds, out / "report.html")


def tell(words: str) -> None:
    write_line(f"demo {words}")


def measure(shown: Demo) -> dict[str, Any]:
    """Every metric of the demo, on test patients; `probe` ones are macro AUROC of the patches' mean and extremes, with
    the labels of the patients that were trained on.
    """
    cohorts, test = shown.cohorts, shown.cohorts.open("test")
    labels, patients, truth = cohorts.labels("pretrain"), cohorts.patients("pretrain"), cohorts.labels("test")
    metrics: dict[str, Any] = {}
    for suffix, arm in shown.arms.items():
        probe = fit_probe(shown.features(arm, "pretrain").of(POOL), labels, patients, shown.seed)
        scores = probe.scores(shown.features(arm, "test").of(POOL))
        metrics[f"probe_auroc{suffix}"] = macro_auroc(scores, truth).value
    if shown.controls:
        taught = load(shown.run(shown.taught))
        metrics["learnability_supervised"] = learnability_supervised(taught, test, truth).value
    seen = shown.features(PLUS, "test")
    if seen.pointed is not None:
        metrics |= score_pointing_game(seen.pointed, shown.seed).figures()
    metrics["retrieval_auc"] = measure_retrieval(load(shown.run(PLUS)), test, cohorts.truth("test"))
    metrics["effective_rank"] = effective_rank(seen.pooled["mean"])
    logged = read_json(shown.run(PLUS) / "metrics.json")
    for name in ("align_accuracy", "align_accuracy_blank", "align_accuracy_mispaired"):
        metrics |= {name: logged[name]} if name in logged else {}
    return {name: None if value != value else value for name, value in plain(metrics).items()}


def plain(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: np.asarray(value).item() for name, value in metrics.items()}
