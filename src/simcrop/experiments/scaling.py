"""`simcrop reproduce scaling`: what more patients, and more scans seen, are worth to each method.

No axes or units. Every point is a training of its own; all are judged on the same test patients, their probes learn
from the same labelled ones. A point that is measured is not measured again, and each is written down as soon as it is.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from simcrop.evaluation.retrieval import sentence_aurocs
from simcrop.experiments.arms import Arm
from simcrop.experiments.ceilings import Reader, find_ceilings, taught_statistics
from simcrop.experiments.cohorts import Plan, draw_cohorts
from simcrop.experiments.experiment import Experiment
from simcrop.experiments.extension_results import figures
from simcrop.experiments.natural import ALIGNED_AS_PRINTED, BASE, MAE, PLUS, POOL, RANDOM
from simcrop.experiments.scaling_text import write_texts
from simcrop.experiments.scores import over_cohorts, reached_by_pointing, reached_by_probe
from simcrop.experiments.side_by_side import Say, processors, run_all
from simcrop.files.whole import read_json, write_json
from simcrop.metrics.ranking import mean_of_defined
from simcrop.model import load
from simcrop.tasks.folder import open_folder, write_metrics

PLAN = Plan(pretrain=9600, probe=600, choose=0, test=400, difficulty="real", size="small")
PAPER = Arm("SimCroP paper", BASE, ALIGNED_AS_PRINTED, base=BASE)
METHODS = (PLUS, PAPER, MAE)
PATIENTS = (600, 2400, 9600)
SEEN = (5_600, 22_400, 89_600)  # scans; the middle one for every number of patients


@dataclass(frozen=True)
class CurvePoint:
    """One method at one place of the curve. `seen`: scans, with repetition; an untrained one has neither."""

    arm: Arm
    method: str
    patients: int
    seen: int


def curve_points(
    plan: Plan, patients: Sequence[int], seen: Sequence[int], common: tuple[str, ...] = ()
) -> list[CurvePoint]:
    """The cheapest first, all methods at one place before the next: an unfinished curve compares like with like."""
    usual = seen[len(seen) // 2]
    places = {(count, usual) for count in patients} | {(max(patients), scans) for scans in seen}
    trained = [
        curve_point(method, count, scans, count / plan.pretrain, common)
        for count, scans in sorted(places, key=lambda place: (place[1], place[0]))
        for method in METHODS
    ]
    return [CurvePoint(replace(RANDOM, seeds=1), RANDOM.name, 0, 0), *trained]


def curve_point(method: Arm, patients: int, seen: int, share: float, common: tuple[str, ...]) -> CurvePoint:
    """The same rate, and a tenth of the steps to warm up in, however many patients there are."""
    steps = max(1, seen // method.build(0, common).optim.batch)
    epochs = seen / patients  # a patient has one scan, or two: about
    settings = (
        f"data.share={share}",
        f"optim.steps={steps}",
        f"optim.epochs={int(epochs) + 2}",
        f"optim.warmup_epochs={epochs / 10}",
    )
    arm = replace(
        method,
        name=f"{method.name}, {patients} patients, {seen} scans",
        settings=(*method.settings, *settings),
        seeds=1,
    )
    return CurvePoint(arm, method.name, patients, seen)


def reproduce_scaling(
    out: Path,
    seed: int = 0,
    common: Sequence[str] = (),
    say: Say = lambda _: None,
    resume: bool = False,
    overwrite: bool = False,
    plan: Plan = PLAN,
    patients: Sequence[int] = PATIENTS,
    seen: Sequence[int] = SEEN,
    budget_hours: float | None = None,
    at_once: int | None = None,
) -> dict[str, Any]:
    """The curve under `out`; `results.json`, `scaling.md` and `report.html` hold what is measured so far.

    `budget_hours`: no training is begun after that time; the same call with `--resume` goes on.
    """
    settings = {"seed": seed, "plan": asdict(plan), "common": list(common)}
    open_folder(out, "reproduce", {"table": "scaling", **settings}, resume, overwrite)
    end = None if budget_hours is None else time.monotonic() + 3600 * budget_hours
    at_once = at_once or processors()
    cohorts = draw_cohorts(out / "cohorts", plan, seed + 300)
    planned = curve_points(plan, patients, seen, tuple(common))
    experiment = Experiment(out, cohorts, tuple(place.arm for place in planned), (seed,), tuple(common))
    results: dict[str, Any] = {"points": [], "planned": len(planned), "scans": {}}
    results["scans"] = {part: len(cohorts.patients(part)) for part in cohorts.parts}
    for _, there in groupby(planned, lambda point: (point.patients, point.seen)):
        if end is not None and time.monotonic() > end:
            say(f"the budget is used up: {len(results['points'])} of {len(planned)} points are measured")
            break
        some = list(there)  # every method at this place: a core that is done with one takes the next
        run_all([experiment.training(place.arm, seed) for place in some], at_once, say)
        experiment.judge({place.arm: [(POOL, 1.0, 0.0)] for place in some}, at_once, say)
        results["points"] += [measured(experiment, place, seed) for place in some]
        write_json(out / "results.json", results)
        write_texts(out, results)
    else:
        reader = ceiling_of(plan, seen[len(seen) // 2], tuple(common))
        results["ceiling"] = find_ceilings(experiment, (reader,), out / "ceiling.json", at_once, say)
        write_json(out / "results.json", results)
        write_texts(out, results)
        write_metrics(out, results)
    return results


def ceiling_of(plan: Plan, seen: int, common: tuple[str, ...]) -> Reader:
    """The encoder taught the labels of all patients, as many scans seen as in the middle of the curve."""
    reader = taught_statistics(plan.labels, BASE, "max")
    assert reader.arm is not None
    steps = max(1, seen // reader.arm.build(0, common).optim.batch)
    return replace(reader, arm=replace(reader.arm, settings=(*reader.arm.settings, f"optim.steps={steps}")))


def measured(experiment: Experiment, place: CurvePoint, seed: int) -> dict[str, Any]:
    """Probe, pointing and retrieval on the test part, with intervals over its patients."""
    path = experiment.folder / "points" / f"{place.arm.key}.json"
    if not path.exists():
        cohorts, arm = experiment.cohorts, place.arm
        truth, patients = cohorts.labels("test"), cohorts.patients("test")
        found: dict[str, Any] = {
            "probe": figures(reached_by_probe(experiment.scores(arm, "test", POOL), truth, patients))
        }
        answers = experiment.answers(arm)
        if answers:
            found["pointing"] = {name: figures(of) for name, of in reached_by_pointing(answers).items()}
            model = load(experiment.run(arm, seed))
            values, owners = sentence_aurocs(model, cohorts.open("test"), cohorts.truth("test"))
            mean = over_cohorts([lambda rows: mean_of_defined(values[rows])], owners)
            found["retrieval"] = figures(mean)
        path.parent.mkdir(exist_ok=True)
        write_json(path, found)
    return {"method": place.method, "patients": place.patients, "seen": place.seen, **read_json(path)}
