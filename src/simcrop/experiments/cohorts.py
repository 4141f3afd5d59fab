"""The phantom cohorts of an experiment: to pre-train on, to fit probes on, to choose on, and to test on.

Each part is drawn from a seed of its own, so that no patient is in two of them. No axes or units.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.phantom.findings.finding import EASY_KINDS, LABELS
from simcrop.phantom.truth import Truth, read_truth
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.cohorts.phantom import phantom
from simcrop.tasks.folder import METRICS
from simcrop.tasks.labelled import label_matrix

Part = Literal["pretrain", "probe", "choose", "test"]
SEEDS: dict[Part, int] = {"pretrain": 1, "probe": 2, "choose": 3, "test": 4}
SPACINGS = {"tiny": "5.5,5.5,10", "small": "2.75,2.75,5"}
APART = 10  # seeds between two experiments, so that no part of one is a part of another


@dataclass(frozen=True)
class Plan:
    """Patients per part; one in eight has two scans. `difficulty` also says which labels are judged."""

    pretrain: int
    probe: int
    choose: int
    test: int
    difficulty: Literal["easy", "real"] = "easy"
    size: Literal["tiny", "small"] = "tiny"

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(EASY_KINDS) if self.difficulty == "easy" else tuple(LABELS)


@dataclass(frozen=True)
class PhantomCohorts:
    """Where the parts lie: raw scans with their truth, and the cohort stores made of them."""

    folder: Path
    plan: Plan

    @property
    def parts(self) -> list[Part]:
        """Those that have patients."""
        return [part for part in SEEDS if asdict(self.plan)[part]]

    def path(self, part: Part) -> Path:
        return self.folder / part / "cohort"

    def open(self, part: Part) -> Cohort:
        return open_cohort(self.path(part))

    def truth(self, part: Part) -> Truth:
        return read_truth(self.folder / part / "raw")

    def labels(self, part: Part) -> np.ndarray:
        """Float `(s, l)`: 1, 0 or NaN per scan and judged label."""
        cohort = self.open(part)
        return label_matrix(cohort)[:, [cohort.labels.index(name) for name in self.plan.labels]]

    def patients(self, part: Part) -> np.ndarray:
        return self.open(part).index["patient"].to_numpy()


def draw_cohorts(folder: Path, plan: Plan, seed: int, workers: int = 2) -> PhantomCohorts:
    """Write and ingest every part that has patients; what is there already is kept."""
    cohorts = PhantomCohorts(folder, plan)
    for part in cohorts.parts:
        draw_cohort(cohorts, part, seed, workers)
    return cohorts


def draw_cohort(cohorts: PhantomCohorts, part: Part, seed: int, workers: int = 2) -> None:
    """One part alone."""
    plan, raw = cohorts.plan, cohorts.folder / part / "raw"
    patients, drawn = asdict(plan)[part], APART * seed + SEEDS[part]
    phantom(raw, "ct-rate", patients, drawn, plan.size, difficulty=plan.difficulty, workers=workers)
    if not (cohorts.path(part) / METRICS).exists():  # wherever the study's folder was when it was ingested
        ingest(raw, "ct-rate", cohorts.path(part), workers, SPACINGS[plan.size])
