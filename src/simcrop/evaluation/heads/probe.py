"""The logistic probe: a logistic regression per label on frozen features, and what is chosen on held-out patients.

Axes: s scan, d features, l label. Labels are 1, 0 or NaN (not known: left out).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simcrop.errors import SimcropError
from simcrop.evaluation.heads.classes import probabilities_of
from simcrop.evaluation.heads.logistic import (
    GRADIENT,
    ROUGH,
    StandardFeatures,
    fit_logistic,
    one_blas_thread,
    prepare,
)
from simcrop.evaluation.heads.views import Scaling, View, scaling_of
from simcrop.metrics import best_threshold, macro_auroc
from simcrop.metrics.ranking import mean_of_defined

# Inverse strengths of the L2 penalty, strongest first: between equals the stronger penalty wins.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FALLBACK, FOLDS = 1e-2, 3
# Of so many scans one fold alone is held out: its figures are as steady as those of three folds of few.
MANY = 6000
LEAST = 1e-6  # probability of a class that nobody could have learned
Tell = Callable[[int], None]  # so many steps more are done, or will not be needed


def in_silence(more: int) -> None:
    """Nobody wants to know."""
    del more


@dataclass(frozen=True, eq=False)
class Probe:
    """`weights` `(l, d)` and `bias` `(l,)` act on scaled features; a label that the training scans did not vary in
    has NaN weights. `strength`: the C that was taken; `held_out_auroc`: what it reached on held-out training
    patients, None when these were too few to choose by; `thresholds` `(l,)`: the probability from which on a scan is
    said to have the label, best by Youden's index on the same held-out patients, NaN where they did not say, or where
    labels exclude one another (`exclusive`: their probabilities add up to one).
    """

    scaling: Scaling
    weights: np.ndarray
    bias: np.ndarray
    strength: float
    held_out_auroc: float | None
    thresholds: np.ndarray
    exclusive: bool = False

    @property
    def width(self) -> int:
        return len(self.scaling.mean)

    @property
    def said(self) -> dict[str, Any]:
        """For `metrics.json`."""
        return {
            "strength": self.strength,
            "view": self.scaling.view,
            "held_out_auroc": self.held_out_auroc,
        }

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Probability of every label, `(s, l)`; NaN for a label that could not be learned."""
        return probabilities_of(self.scaling(features) @ self.weights.T + self.bias, self.exclusive)


@dataclass(frozen=True, eq=False)
class Choice:
    """What held-out training patients chose, and `held_out` `(s, l)`: their scores, NaN for scans never held out."""

    view: View
    strength: float
    auroc: float | None
    held_out: np.ndarray


@one_blas_thread()
def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    seed: int,
    strengths: Sequence[float] = STRENGTHS,
    views: Sequence[View] = ("zscore",),
    exclusive: bool = False,
    tell: Tell = in_silence,
) -> Probe:
    """Fit on the training scans; view and penalty are chosen on patients held out of these, never on the test scans."""
    choice = choose(features, labels, np.asarray(patients), seed, strengths, views, exclusive, tell)
    columns = zip(choice.held_out.T, labels.T, strict=True)
    thresholds = np.array([np.nan if exclusive else threshold_of(scores, truth) for scores, truth in columns])
    fitted = fit_at(features, labels, choice.strength, choice.view, exclusive)
    tell(1)
    return replace(fitted, held_out_auroc=choice.auroc, thresholds=thresholds)


def threshold_of(scores: np.ndarray, truth: np.ndarray) -> float:
    """From the scans that were held out."""
    scored = ~np.isnan(scores)
    return best_threshold(scores[scored], truth[scored])


def choose(
    features: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    seed: int,
    strengths: Sequence[float],
    views: Sequence[View],
    exclusive: bool = False,
    tell: Tell = in_silence,
) -> Choice:
    """View and C with the best macro AUROC on held-out patients, averaged over folds (of classes that exclude one
    another the best likelihood, since the most probable one is named): first the view, at the middle of the strengths,
    then the strength of that view.
    """
    check(features, labels)
    folds, middle = patient_folds(patients, FOLDS, seed), strengths[len(strengths) // 2]
    if folds.max() == 0:
        nothing = np.full(labels.shape, np.nan)
        return Choice(views[0], middle if len(strengths) == 1 else FALLBACK, None, nothing)
    held = [folds == fold for fold in range(1 if len(features) > MANY else folds.max() + 1)]
    view = views[0]
    if len(views) > 1:
        found = [
            held_out_scores(features, labels, held, each, (middle,), exclusive, tell)[0] for each in views
        ]
        view = views[best_of(found, labels, held, exclusive)[0]]
    every = held_out_scores(features, labels, held, view, strengths, exclusive, tell)
    best, reached = best_of(every, labels, held, exclusive)
    return Choice(view, FALLBACK if reached is None else strengths[best], reached, every[best])


def held_out_scores(
    features: np.ndarray,
    labels: np.ndarray,
    held: Sequence[np.ndarray],
    view: View,
    strengths: Sequence[float],
    exclusive: bool = False,
    tell: Tell = in_silence,
) -> np.ndarray:
    """Float32 `(c, s, l)`: at each C the scores of the scans that were held out, NaN elsewhere. One C begins where
    the one before it ended, and none goes further than comparing them needs.
    """
    scores = np.full((len(strengths), *labels.shape), np.nan, np.float32)
    for out in held:
        standard, before = standardise(features[~out], labels[~out], view), None
        for c, strength in enumerate(strengths):
            before = fit_standard(standard, labels[~out], strength, before, ROUGH, exclusive)
            scores[c, out] = before.scores(features[out])
            tell(1)
    return scores


def best_of(
    scores: Sequence[np.ndarray] | np.ndarray,
    labels: np.ndarray,
    held: Sequence[np.ndarray],
    exclusive: bool = False,
) -> tuple[int, float | None]:
    """Which of several is the best, the first of equals and where nothing is defined; and its mean over folds of the
    macro AUROC.
    """
    means = np.array(
        [
            mean_of_defined(np.array([macro_auroc(of[out], labels[out]).value for out in held]))
            for of in scores
        ]
    )
    if np.isnan(means).all():
        return 0, None
    best = int(np.nanargmax([likelihood(of, labels) for of in scores] if exclusive else means))
    return best, None if np.isnan(means[best]) else float(means[best])


def likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean logarithm of what the true class of each scan was given, of those that were held out."""
    given = np.where(labels == 1, np.nan_to_num(scores, nan=0.0), 0).sum(1)
    judged = ~np.isnan(scores).all(1) & (labels == 1).any(1)
    return float(np.log(given[judged].clip(LEAST)).mean()) if judged.any() else float("nan")


def patient_folds(patients: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A fold for every scan, equal for scans of one patient; fewer folds when there are fewer patients."""
    names, number = np.unique(patients, return_inverse=True)
    fold = np.random.default_rng((seed, 0)).permutation(len(names)) % min(count, len(names))
    return fold[number]


def fit_at(
    features: np.ndarray, labels: np.ndarray, strength: float, view: View = "zscore", exclusive: bool = False
) -> Probe:
    """One logistic regression per label at a given C, or one of all labels if they exclude one another."""
    return fit_standard(standardise(features, labels, view), labels, strength, exclusive=exclusive)


def regressions(scans: int, patients: int, strengths: int = len(STRENGTHS), views: int = 1) -> int:
    """How many `fit_probe` fits, for progress."""
    folds = 0 if patients < 2 else 1 if scans > MANY else min(FOLDS, patients)
    return folds * (strengths + (views if views > 1 else 0)) + 1


@dataclass(frozen=True, eq=False)
class Standardised:
    """Scaled training features: what all labels and strengths share."""

    scaling: Scaling
    features: StandardFeatures


def standardise(features: np.ndarray, labels: np.ndarray, view: View) -> Standardised:
    """Of what a probe can be fitted on."""
    check(features, labels)
    scaling = scaling_of(features, view)
    return Standardised(scaling, prepare(scaling(features)))


def fit_standard(
    standard: Standardised,
    labels: np.ndarray,
    strength: float,
    before: Probe | None = None,
    gradient: float = GRADIENT,
    exclusive: bool = False,
) -> Probe:
    """All labels at once; NaN for one whose known scans all have it, or all have it not. See `fit_logistic`."""
    varies = (labels == 1).any(0) & (labels == 0).any(0)
    weights = np.full((len(varies), len(standard.scaling.mean)), np.nan)
    bias, unsaid = np.full(len(varies), np.nan), np.full(len(varies), np.nan)
    if varies.any():
        near = None if before is None else (before.weights[varies], before.bias[varies])
        known = labels[:, varies]
        weights[varies], bias[varies] = fit_logistic(
            standard.features, known, strength, near, gradient, exclusive
        )
    return Probe(standard.scaling, weights, bias, strength, None, unsaid, exclusive)


def check(features: np.ndarray, labels: np.ndarray) -> None:
    """What a probe can be fitted on."""
    if len(features) == 0 or labels.shape[1] == 0:
        raise SimcropError("no-studies", "a probe needs labelled training scans, and there are none")
    if not np.isfinite(features).all():
        raise SimcropError("not-finite", "the features hold values that are no numbers; the model is broken")
