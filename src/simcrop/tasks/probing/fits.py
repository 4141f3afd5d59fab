"""The heads of every share and seed, fitted or found, and what they are worth on the test scans.

Axes: k repetition (seed), s scan, d features, l label.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simcrop.engine.progress import Pace, Progress, show_progress
from simcrop.evaluation.heads.classes import JudgedClasses, judge_classes, named
from simcrop.evaluation.heads.probe import STRENGTHS, fit_probe, regressions
from simcrop.evaluation.heads.settings import Chosen
from simcrop.evaluation.heads.tokens import Features, Tokens
from simcrop.evaluation.heads.training import fit_trained
from simcrop.evaluation.heads.views import VIEWS
from simcrop.evaluation.judgement import Judgement, judge
from simcrop.tasks.probing.heads import Head
from simcrop.tasks.probing.kept_fits import KeptFits
from simcrop.tasks.probing.sides import Sides

Drawn = Mapping[tuple[float, int], np.ndarray]  # by share and seed: bool per training scan
QUIET, SELDOM = 5.0, 0.2  # seconds in which nothing is said, and between two words


@dataclass(frozen=True, eq=False)
class Judged:
    """What scores are worth, label by label, and as one question where labels exclude one another."""

    judgement: Judgement
    classes: JudgedClasses | None = None


@dataclass(frozen=True, eq=False)
class Repeated:
    """What one share reached: a head per seed, their `scores` `(k, s, l)` of the test scans, and what these are
    worth. `chosen`: how they were trained, None for regressions.
    """

    probes: tuple[Head, ...]
    scores: np.ndarray
    judged: Judged
    chosen: Chosen | None = None

    @property
    def judgement(self) -> Judgement:
        return self.judged.judgement

    @property
    def thresholds(self) -> np.ndarray:
        """`(k, l)`."""
        return np.stack([probe.thresholds for probe in self.probes])


class Steps:
    """Progress over all heads, in the steps or regressions that these take at most. The pace is that of all steps but
    the first, which loads much of a library.
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        self.pace: Pace | None = None
        self.said = 0.0

    def __call__(self, more: int) -> None:
        self.done += more
        now = time.monotonic()
        if self.pace is None:
            self.pace, self.said = Pace("steps"), now
            self.pace(self.done, self.total)
        if self.done == self.total or now - self.said > SELDOM:
            self.said = now
            self.progress(self.done, self.total, self.pace(self.done, self.total))


@dataclass(frozen=True, eq=False)
class Fitting:
    """How all heads of a probe are fitted: on whose patients, with which settings by share (None: regressions)."""

    sides: Sides
    drawn: Drawn
    chosen: Mapping[float, Chosen | None]
    kept: KeptFits
    first_seed: int

    def every_share(self, features: Features, title: str, shares: list[float]) -> dict[float, Repeated]:
        """By share, a head for each seed. `title` names the features."""
        known, unseen = features[self.sides.rows], features[self.sides.test_rows]
        cases = [case for case in self.drawn if case[0] in shares]
        todo = [case for case in cases if not self.kept.has(file_name(title, *case))]
        tell = Steps(show_progress(title, quiet=QUIET), sum(map(self.work, todo)))
        heads = {
            case: self.kept.head(file_name(title, *case), lambda case=case: self.fit(known, case, tell))
            for case in cases
        }
        found = {}
        for share in shares:
            probes = tuple(head for (of, _), head in heads.items() if of == share)
            scores = np.stack([scores_of(head, unseen) for head in probes])
            thresholds = np.stack([head.thresholds for head in probes])
            judged = judged_on(scores, thresholds, self.sides, self.first_seed)
            found[share] = Repeated(probes, scores, judged, self.chosen[share])
        return found

    def work(self, case: tuple[float, int]) -> int:
        """How many steps a head takes, at most."""
        chosen, rows = self.chosen[case[0]], self.drawn[case]
        if chosen is not None:
            return chosen.settings.steps
        patients = len(set(self.sides.patients[rows]))
        return regressions(int(rows.sum()), patients, len(STRENGTHS), len(VIEWS))

    def fit(self, known: Features, case: tuple[float, int], tell: Steps) -> Head:
        """On that seed's patients; whatever is chosen is chosen among these alone."""
        (share, seed), rows, sides = case, self.drawn[case], self.sides
        features, truth, patients = known[rows], sides.truth[rows], sides.patients[rows]
        chosen = self.chosen[share]
        if chosen is None:
            assert not isinstance(features, Tokens)
            return fit_probe(
                *(features, truth, patients, seed), views=VIEWS, exclusive=sides.exclusive, tell=tell
            )
        kind = "attention" if isinstance(features, Tokens) else "linear"
        return fit_trained(kind, features, truth, patients, seed, chosen.settings, sides.exclusive, tell)


def file_name(title: str, share: float, seed: int) -> str:
    return f"{title.replace(' ', '-')}-{share!r}-{seed}"


def scores_of(head: Head, features: Features) -> np.ndarray:
    """`(s, l)`."""
    if isinstance(features, Tokens):
        assert not hasattr(head, "scaling")
    return head.scores(features)  # pyright: ignore[reportArgumentType]


def judged_on(scores: np.ndarray, thresholds: np.ndarray, sides: Sides, seed: int) -> Judged:
    """Where labels exclude one another the most probable one is named, and thresholds have no say."""
    people, names = sides.test_patients, sides.names
    decided = named(scores) if sides.exclusive else None
    judgement = judge(scores, sides.test_truth, thresholds, people, names, seed, decided=decided)
    classes = judge_classes(scores, sides.test_truth, people, names, seed) if sides.exclusive else None
    return Judged(judgement, classes)


def judged_by_frequency(sides: Sides, seed: int) -> Judged:
    """Whoever says of every scan how frequent each label is among the training scans: AUROC .5, by definition."""
    known = ~np.isnan(sides.truth)
    frequency = np.where(known, sides.truth, 0).sum(0) / np.maximum(known.sum(0), 1)
    scores = np.tile(frequency, (1, len(sides.test_truth), 1))
    return judged_on(scores, np.full((1, len(frequency)), 0.5), sides, seed)
