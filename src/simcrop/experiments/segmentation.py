"""`simcrop reproduce segmentation`: is a pre-trained encoder worth anything where few scans are marked?

No axes; distances in mm. Organs of phantoms are marked by UNETR, learned from a tenth of the training patients, with an
encoder pre-trained on reports of other phantoms, and with a random one; all else is the same. Every station leaves its
files and is not repeated. Nothing is chosen on the test part.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.config import load_recipe, put_path
from simcrop.engine.fit import Fitted
from simcrop.evaluation.mask_pairs import PairedMeasure, compare_measure
from simcrop.evaluation.segmentation import MEASURES, mean_over_classes, values_of
from simcrop.experiments.segmentation_text import write_texts
from simcrop.experiments.side_by_side import Say
from simcrop.experiments.stations import Station, run_stations
from simcrop.files.whole import write_json
from simcrop.metrics import Interval
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.cohorts.phantom import phantom
from simcrop.tasks.folder import METRICS, RUN, open_folder, write_metrics
from simcrop.tasks.intervals import bounds, without_nan
from simcrop.tasks.segmentation.segment import segment
from simcrop.tasks.segmentation.table import read_table
from simcrop.tasks.training.pretrain import pretrain

RANDOM, PRETRAINED = "random", "pre-trained"
ARMS = (PRETRAINED, RANDOM)  # the difference is the first less the second
PRETRAIN_RECIPE, RECIPE = "simcrop-tiny", "segment-tiny"
SEEDS = 500  # of phantoms: none of another experiment


@dataclass(frozen=True)
class SegmentationPlan:
    """Patients with reports to pre-train on, and with masks: a `share` of eight in ten to learn from, one in ten to
    test on. Steps of each training.
    """

    reports: int = 300
    masks: int = 200
    share: float = 0.1
    pretrain_steps: int = 200
    steps: int = 150
    spacing: str = "5.5,5.5,10"
    layout: str = "luna16"
    size: str = "tiny"


PLAN = SegmentationPlan()


def reproduce_segmentation(
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    common: Sequence[str] = (),
    say: Say = lambda _: None,
    resume: bool = False,
    overwrite: bool = False,
    plan: SegmentationPlan = PLAN,
) -> dict[str, Any]:
    """The whole experiment under `out`; its results, which `results.json`, `segmentation.md` and `report.html` hold.

    More `seeds` may be asked for when it is resumed. `common` changes the recipe of both arms.
    """
    settings = {"table": "segmentation", "plan": asdict(plan), "common": list(common)}
    open_folder(out, "reproduce", settings, resume, overwrite)
    experiment = SegmentationExperiment(out, plan, tuple(common))
    stations = [
        Station("phantoms with reports", experiment.draw_reports, 60.0),
        Station("phantoms with masks", experiment.draw_masks, 60.0),
    ]
    for seed in seeds:
        stations.append(Station(f"pre-training, seed {seed}", partial(experiment.pretrain, seed), 400.0))
        stations += [
            Station(f"{arm}, seed {seed}", partial(experiment.segment, arm, seed), 200.0) for arm in ARMS
        ]
    run_stations(stations, out / "stations.json", say)
    results = {
        "plan": asdict(plan),
        "common": list(common),
        "seeds": list(seeds),
        **experiment.compare(seeds),
    }
    write_json(out / "results.json", results)
    write_texts(out, results)
    write_metrics(out, results)
    return results


@dataclass(frozen=True)
class SegmentationExperiment:
    """Where everything lies, and how each part of it is made."""

    folder: Path
    plan: SegmentationPlan
    common: tuple[str, ...]

    def draw_reports(self) -> None:
        self.draw("reports", "ct-rate", self.plan.reports, SEEDS)

    def draw_masks(self) -> None:
        self.draw("masks", self.plan.layout, self.plan.masks, SEEDS + 1)

    def draw(self, part: str, layout: str, patients: int, seed: int) -> None:
        raw = self.folder / part / "raw"
        phantom(raw, layout, patients, seed, self.plan.size, difficulty="real", workers=2)
        ingest(raw, layout, self.cohort(part), workers=2, spacing=self.plan.spacing)

    def cohort(self, part: str) -> Path:
        return self.folder / part / "cohort"

    def run(self, name: str, seed: int) -> Path:
        return self.folder / "runs" / f"{name}-{seed}"

    def pretrain(self, seed: int) -> None:
        recipe = load_recipe(
            PRETRAIN_RECIPE, [f"seed={seed}", "optim.epochs=1000", f"optim.steps={self.plan.pretrain_steps}"]
        )
        folder = self.run("encoder", seed)
        if not (folder / METRICS).exists():
            whole(pretrain(self.cohort("reports"), recipe, folder, resume=(folder / RUN).exists()))

    def segment(self, arm: str, seed: int) -> None:
        start = [put_path("init.model", self.run("encoder", seed))] if arm == PRETRAINED else []
        steps = ["optim.epochs=100000", f"optim.steps={self.plan.steps}"]
        share = [f"data.share={self.plan.share}", f"seed={seed}"]
        folder = self.run(arm, seed)
        if not (folder / METRICS).exists():
            recipe = load_recipe(RECIPE, [*steps, *share, *self.common, *start])
            whole(segment(self.cohort("masks"), recipe, folder, resume=(folder / RUN).exists()))

    def compare(self, seeds: Sequence[int]) -> dict[str, Any]:
        """Per scan the mean over seeds, so that intervals are over patients; and each seed by itself."""
        tables = {arm: [read_table(self.run(arm, seed)) for seed in seeds] for arm in ARMS}
        first = tables[RANDOM][0]
        patients, classes = [scan.scores.patient for scan in first], list(first[0].scores.scores)
        found: dict[str, Any] = {}
        for measure in MEASURES:
            values = {
                arm: [values_of([scan.scores for scan in scans], measure) for scans in of]
                for arm, of in tables.items()
            }
            compared = compare_measure(
                measure, [np.mean(values[arm], axis=0) for arm in ARMS], patients, seed=0
            )
            by_seed = [
                mean_over_classes(mine) - mean_over_classes(other)
                for mine, other in zip(*(values[arm] for arm in ARMS), strict=True)
            ]
            found[measure] = figures(compared, classes) | {"difference_by_seed": by_seed}
        return without_nan(
            {"scans": len(first), "patients": len(set(patients)), "classes": classes, "measures": found}
        )


def figures(compared: PairedMeasure, classes: Sequence[str]) -> dict[str, Any]:
    """One measure: both arms, and the difference, on average and class by class."""

    def entry(arms: Sequence[Interval], apart: Interval) -> dict[str, Any]:
        of_arms = {arm: bounds("value", of) for arm, of in zip(ARMS, arms, strict=True)}
        return {**of_arms, "difference": bounds("value", apart)}

    (pair,) = compared.differences
    return {
        "mean": entry(compared.means, compared.mean_differences[pair]),
        "classes": {
            name: {
                **entry([of[n] for of in compared.values], compared.differences[pair][n]),
                "p_holm": float(compared.p_values[pair][n]),
                "scans": int(compared.scans[pair][n]),
            }
            for n, name in enumerate(classes)
        },
    }


def whole(fitted: Fitted) -> None:
    """A training that was asked to stop stops the experiment."""
    if not fitted.finished:
        raise KeyboardInterrupt
