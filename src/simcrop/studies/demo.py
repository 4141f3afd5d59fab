"""`simcrop demo`: the main job end to end on phantoms, beside the controls that could refute it, in minutes.

No axes or units. Raw scans and reports -> cohorts -> pre-training -> probe, sentences and heat maps on patients that
nothing was learned from. Every station leaves its files, so that an interrupted demo goes on where it stopped.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.evaluation.gate import gate_supervised
from simcrop.evaluation.pointing import score_pointing
from simcrop.evaluation.probe import fit_probe
from simcrop.evaluation.retrieval import measure_retrieval
from simcrop.metrics import effective_rank, macro_auroc
from simcrop.model import load
from simcrop.studies.arms import MAE, PLUS, RANDOM, SHUFFLED, Arm, supervised, train
from simcrop.studies.cohorts import PhantomCohorts, Plan, draw_cohorts
from simcrop.studies.demo_page import write_page
from simcrop.studies.looks import Look, look
from simcrop.tasks.folder import open_folder, read_json, write_json, write_metrics

PATIENTS, PARTS = 600, 3  # a third as many patients to fit probes on, and as many again to test on
ARMS = {"": PLUS, "_random": RANDOM, "_mae": MAE, "_shuffled": SHUFFLED}
FEWER = ("engine.examine=1",)  # the page shows the controls at the end


@dataclass(frozen=True)
class Demo:
    """Where its pieces lie. `common`: what the caller changed in every recipe."""

    out: Path
    cohorts: PhantomCohorts
    seed: int
    common: tuple[str, ...]

    def run(self, arm: Arm) -> Path:
        return self.out / "runs" / arm.key

    def train(self, arm: Arm) -> Path:
        return train(arm, self.cohorts.path("pretrain"), self.run(arm), self.seed, self.common)

    def look(self, arm: Arm, part: Any) -> Look:
        """Only the method itself is asked sentences."""
        truth = self.cohorts.truth(part) if part == "test" and arm == PLUS else None
        path = self.out / "looks" / f"{arm.key}-{part}.npz"
        return look(self.run(arm), self.cohorts.open(part), truth, path)


def demo(
    out: Path,
    seed: int = 0,
    patients: int = PATIENTS,
    overrides: list[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Run every station, each in its own folder under `out`; the page that shows them."""
    common = (*FEWER, *(overrides or []))
    PLUS.build(seed, common)  # a bad setting is told before anything is written
    plan = Plan(patients, max(20, patients // PARTS), 0, max(20, patients // PARTS))
    settings = {"seed": seed, "plan": asdict(plan), "common": list(common)}
    open_folder(out, "demo", settings, resume, overwrite)
    clock = Clock(out / "seconds.json")
    shown = Demo(out, PhantomCohorts(out / "cohorts", plan), seed, common)
    gate = supervised(plan.labels, "mean")
    clock.time("scans and reports, cohorts", lambda: draw_cohorts(out / "cohorts", plan, seed))
    for arm in (*ARMS.values(), gate):
        clock.time(arm.name, lambda arm=arm: shown.train(arm))
    clock.time("probes, sentences, gate", lambda: write_json(out / "found.json", measure(shown, gate)))
    metrics = read_json(out / "found.json") | {"seconds": sum(clock.seconds.values())}
    write_metrics(out, metrics)
    return write_page(shown.run(PLUS), shown.cohorts, metrics, clock.seconds, out / "report.html")


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


def measure(shown: Demo, gate: Arm) -> dict[str, Any]:
    """Every figure of the demo, on test patients; `probe` figures are macro AUROC of mean-pooled features."""
    cohorts, test = shown.cohorts, shown.cohorts.open("test")
    labels, patients, truth = cohorts.labels("probe"), cohorts.patients("probe"), cohorts.labels("test")
    metrics: dict[str, Any] = {}
    for suffix, arm in ARMS.items():
        probe = fit_probe(shown.look(arm, "probe").pooled["mean"], labels, patients, shown.seed)
        scores = probe.scores(shown.look(arm, "test").pooled["mean"])
        metrics[f"probe_auroc{suffix}"] = macro_auroc(scores, truth).value
    metrics["gate_supervised"] = gate_supervised(load(shown.run(gate)), test, truth)
    seen = shown.look(PLUS, "test")
    if seen.pointed is not None:
        metrics |= score_pointing(seen.pointed, shown.seed).figures()
    metrics["retrieval_auc"] = measure_retrieval(load(shown.run(PLUS)), test, cohorts.truth("test"))
    metrics["effective_rank"] = effective_rank(seen.pooled["mean"])
    logged = read_json(shown.run(PLUS) / "metrics.json")
    for name in ("align_accuracy", "align_accuracy_blank", "align_accuracy_shuffled"):
        metrics |= {name: logged[name]} if name in logged else {}
    return {name: None if value != value else value for name, value in plain(metrics).items()}


def plain(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: np.asarray(value).item() for name, value in metrics.items()}
