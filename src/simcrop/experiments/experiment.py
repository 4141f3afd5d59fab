"""Arms trained, their features kept, and probed on one set of cohorts. No axes or units.

Every step leaves a file and is not repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simcrop.data.split import some_patients
from simcrop.evaluation.pointing_game import Pointed
from simcrop.experiments.arms import Arm
from simcrop.experiments.cached import CachedFeatures, Pooled, cached_features, write_arrays
from simcrop.experiments.cohorts import Part, PhantomCohorts
from simcrop.experiments.scores import probe_scores
from simcrop.experiments.shifted import shifted
from simcrop.experiments.side_by_side import Say, Training, run_all

# Pooling, share of the labelled patients, and mm that the field of view is moved by.
Probing = tuple[Pooled, float, float]


@dataclass(frozen=True)
class Experiment:
    """Arms on one set of cohorts. `common`: settings that every arm gets; `labelled`: the part probes learn from."""

    folder: Path
    cohorts: PhantomCohorts
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    common: tuple[str, ...]
    labelled: Part = "probe"

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        return self.seeds[: arm.seeds]

    def run(self, arm: Arm, seed: int) -> Path:
        """The run folder of one arm with one seed."""
        return self.folder / "runs" / f"{arm.key}-{seed}"

    def training(self, arm: Arm, seed: int) -> Training:
        return Training(arm, self.cohorts.path("pretrain"), self.run(arm, seed), seed, self.common)

    def train(self, at_once: int, say: Say, first: Iterable[Training] = ()) -> None:
        """Seed after seed, so that an unfinished experiment has whole comparisons. `first`: what else is trained."""
        pairs = [(arm, seed) for seed in self.seeds for arm in self.arms if seed in self.seeds_of(arm)]
        run_all([*first, *(self.training(*pair) for pair in pairs)], at_once, say)

    def judge(self, asked: Mapping[Arm, Sequence[Probing]], at_once: int, say: Say) -> None:
        """What `scores` and `answers` of the test part are read from, for every seed."""
        pairs = [(arm, seed) for arm in asked for seed in self.seeds_of(arm)]
        run_all([Judging(self, arm, seed, tuple(asked[arm])) for arm, seed in pairs], at_once, say)

    def features(self, arm: Arm, seed: int, part: Part, shift_mm: float = 0.0) -> CachedFeatures:
        """Sentences are asked on the test part only. `shift_mm`: how far the field of view is moved beforehand."""
        truth, studies = self.cohorts.truth(part) if part == "test" else None, self.cohorts.open(part)
        path = self.folder / "features" / f"{arm.key}-{seed}-{part}{moved(shift_mm)}.npz"
        return cached_features(
            self.run(arm, seed), shifted(studies, shift_mm) if shift_mm else studies, truth, path
        )

    def answers(self, arm: Arm, shift_mm: float = 0.0) -> list[Pointed]:
        """What it pointed at on the test part, seed by seed; empty for a method that knows no sentences."""
        answers = [self.features(arm, seed, "test", shift_mm).pointed for seed in self.seeds_of(arm)]
        return [answer for answer in answers if answer is not None]

    def scores(
        self, arm: Arm, part: Part, pool: Pooled, share: float = 1.0, shift_mm: float = 0.0
    ) -> list[np.ndarray]:
        """Probe scores of a part's scans, `(s, l)` per seed; probes learn from a `share` of the labelled patients, as
        they lie, and are asked about scans whose field of view is moved by `shift_mm`.
        """
        return [self.probed(arm, seed, part, pool, share, shift_mm) for seed in self.seeds_of(arm)]

    def probed(
        self, arm: Arm, seed: int, part: Part, pool: Pooled, share: float, shift_mm: float
    ) -> np.ndarray:
        path = self.scored(arm, seed, part, pool, share, shift_mm)
        if not path.exists():
            labels, patients = self.cohorts.labels(self.labelled), self.cohorts.patients(self.labelled)
            some = some_patients(patients, share, seed)
            scores = probe_scores(
                self.features(arm, seed, self.labelled).of(pool)[some],
                labels[some],
                patients[some],
                self.features(arm, seed, part, shift_mm).of(pool),
                seed,
            )
            write_arrays(path, {"scores": scores})
        with np.load(path, allow_pickle=False) as stored:
            return stored["scores"]

    def scored(self, arm: Arm, seed: int, part: Part, pool: Pooled, share: float, shift_mm: float) -> Path:
        """Where those scores lie."""
        return self.folder / "scores" / f"{arm.key}-{seed}-{part}{moved(shift_mm)}-{pool}-{share:g}.npz"


@dataclass(frozen=True)
class Judging:
    """One trained arm with one seed, probed on the test part in the ways that are `asked`."""

    experiment: Experiment
    arm: Arm
    seed: int
    asked: tuple[Probing, ...]

    @property
    def name(self) -> str:
        return f"judging: {self.arm.name}, seed {self.seed}"

    @property
    def done(self) -> bool:
        paths = [self.experiment.scored(self.arm, self.seed, "test", *of) for of in self.asked]
        return all(path.exists() for path in paths)

    def run(self) -> None:
        for of in self.asked:
            self.experiment.probed(self.arm, self.seed, "test", *of)


def moved(shift_mm: float) -> str:
    """What the names of files say of a moved field of view."""
    return f"-{shift_mm:g}mm" if shift_mm else ""
