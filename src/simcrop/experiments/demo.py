"""`simcrop demo`: the main job end to end on phantoms, beside the controls that could refute it, in minutes.

No axes or units. Raw scans and reports -> cohorts -> pre-training -> probe, sentences and heat maps on patients that
nothing was learned from. Every station leaves its files, so that an interrupted demo goes on where it stopped.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.engine.precision import best_precision
from simcrop.evaluation.learnability import learnability_supervised
from simcrop.evaluation.pointing_game import score_pointing_game
from simcrop.evaluation.probe import fit_probe
from simcrop.evaluation.retrieval import measure_retrieval
from simcrop.experiments.arms import MAE, MISPAIRED, PLUS, RANDOM, Arm, supervised
from simcrop.experiments.cached import CachedFeatures, cached_features
from simcrop.experiments.cohorts import PhantomCohorts, Plan, draw_cohorts
from simcrop.experiments.demo_page import write_page
from simcrop.experiments.side_by_side import Training, processors, train_all
from simcrop.files.whole import read_json, write_json
from simcrop.metrics import effective_rank, macro_auroc
from simcrop.model import load
from simcrop.tasks.folder import open_folder, write_metrics

PATIENTS, PARTS = 600, 3  # a third as many patients to fit probes on, and as many again to test on
FEWER = ("engine.monitor=1",)  # the page shows the controls at the end
# Without bf16 instructions a step takes two to three times as long. So that the demo still ends in about ten minutes on
# such a processor, it makes fewer of them there, and cheaper ones where sentences are read.
SHORTER = ("optim.steps=125",)
CHEAPER = ("align.cross_image.visible=0.5", "text.report_length=64")


@dataclass(frozen=True)
class Demo:
    """Where its pieces lie. `common`: what is changed in every recipe; `cheaper`: in those that read sentences."""

    out: Path
    cohorts: PhantomCohorts
    seed: int
    common: tuple[str, ...]
    cheaper: tuple[str, ...]

    @property
    def plus(self) -> Arm:
        return replace(PLUS, settings=(*PLUS.settings, *self.cheaper))

    @property
    def arms(self) -> dict[str, Arm]:
        """By the end of the names of their figures; what takes longest comes first."""
        mispaired = replace(MISPAIRED, settings=(*MISPAIRED.settings, *self.cheaper))
        return {"": self.plus, "_shuffled": mispaired, "_mae": MAE, "_random": RANDOM}

    @property
    def gate(self) -> Arm:
        return supervised(self.cohorts.plan.labels, "mean")

    def run(self, arm: Arm) -> Path:
        return self.out / "runs" / arm.key

    def training(self, arm: Arm) -> Training:
        return Training(arm, self.cohorts.path("pretrain"), self.run(arm), self.seed, self.common)

    def features(self, arm: Arm, part: Any) -> CachedFeatures:
        """Only the method itself is asked sentences."""
        truth = self.cohorts.truth(part) if part == "test" and arm == self.plus else None
        path = self.out / "features" / f"{arm.key}-{part}.npz"
        return cached_features(self.run(arm), self.cohorts.open(part), truth, path)


def demo(
    out: Path,
    seed: int = 0,
    patients: int = PATIENTS,
    overrides: list[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    at_once: int | None = None,
) -> Path:
    """Run every station, each in its own folder under `out`; the page that shows them.

    `at_once`: how many arms are trained at once, one per core if not given.
    """
    quick = best_precision() == "bf16"
    plan = Plan(patients, max(20, patients // PARTS), 0, max(20, patients // PARTS))
    common = (*FEWER, *(() if quick else SHORTER), *(overrides or []))
    shown = Demo(out, PhantomCohorts(out / "cohorts", plan), seed, common, () if quick else CHEAPER)
    shown.plus.build(seed, common)  # a bad setting is told before anything is written
    settings = {"seed": seed, "plan": asdict(plan), "common": list(common), "cheaper": list(shown.cheaper)}
    open_folder(out, "demo", settings, resume, overwrite)
    clock = Clock(out / "seconds.json")
    clock.time("scans and reports, cohorts", lambda: draw_cohorts(out / "cohorts", plan, seed))
    trainings = [shown.training(arm) for arm in (*shown.arms.values(), shown.gate)]
    clock.time("training", lambda: train_all(trainings, at_once or processors(), tell))
    clock.time("probes, sentences, gate", lambda: write_json(out / "found.json", measure(shown)))
    metrics = read_json(out / "found.json") | {"seconds": sum(clock.seconds.values())}
    write_metrics(out, metrics)
    saved = () if quick else (*SHORTER, *CHEAPER)
    return write_page(
        shown.run(shown.plus), shown.cohorts, metrics, clock.seconds, saved, out / "report.html"
    )


def tell(name: str) -> None:
    sys.stderr.write(f"training: {name}\n")


class Clock:
    """Seconds per station, kept on disk so that a resumed demo still knows them; a finished station is not repeated."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = read_json(path) if path.exists() else {}

    def time(self, station: str, work: Callable[[], Any]) -> None:
        if station in self.seconds:
            return
        started = time.perf_counter()
        work()
        self.seconds[station] = time.perf_counter() - started
        write_json(self.path, self.seconds)


def measure(shown: Demo) -> dict[str, Any]:
    """Every figure of the demo, on test patients; `probe` figures are macro AUROC of mean-pooled features."""
    cohorts, test = shown.cohorts, shown.cohorts.open("test")
    labels, patients, truth = cohorts.labels("probe"), cohorts.patients("probe"), cohorts.labels("test")
    metrics: dict[str, Any] = {}
    for suffix, arm in shown.arms.items():
        probe = fit_probe(shown.features(arm, "probe").pooled["mean"], labels, patients, shown.seed)
        scores = probe.scores(shown.features(arm, "test").pooled["mean"])
        metrics[f"probe_auroc{suffix}"] = macro_auroc(scores, truth).value
    metrics["learnability_supervised"] = learnability_supervised(load(shown.run(shown.gate)), test, truth)
    seen = shown.features(shown.plus, "test")
    if seen.pointed is not None:
        metrics |= score_pointing_game(seen.pointed, shown.seed).figures()
    metrics["retrieval_auc"] = measure_retrieval(load(shown.run(shown.plus)), test, cohorts.truth("test"))
    metrics["effective_rank"] = effective_rank(seen.pooled["mean"])
    logged = read_json(shown.run(shown.plus) / "metrics.json")
    for name in ("align_accuracy", "align_accuracy_blank", "align_accuracy_mispaired"):
        metrics |= {name: logged[name]} if name in logged else {}
    return {name: None if value != value else value for name, value in plain(metrics).items()}


def plain(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: np.asarray(value).item() for name, value in metrics.items()}
