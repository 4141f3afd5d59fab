"""The linear probe: a logistic regression per label on frozen, standardised features, and what it scores.

Axes: s scan, d features, l label. Labels are 1, 0 or NaN (not known: left out).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simcrop.errors import SimcropError
from simcrop.evaluation.logistic import StandardFeatures, fit_logistic, prepare
from simcrop.metrics import (
    Interval,
    average_precision,
    difference,
    interval_of,
    label_aurocs,
    macro_auroc,
    resampled,
)
from simcrop.metrics.ranking import mean_of_defined

# Inverse strengths of the L2 penalty, strongest first: between equals the stronger penalty wins.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FALLBACK, FOLDS = 1e-2, 3


@dataclass(frozen=True, eq=False)
class Probe:
    """`weights` `(l, d)` and `bias` `(l,)` act on features standardised by `mean` and `scale` `(d,)`; a label that the
    training scans did not vary in has NaN weights. `strength`: the C that was taken; `held_out_auroc`: what it reached
    on held-out training patients, None when these were too few to choose by.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    strength: float
    held_out_auroc: float | None

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Probability of every label, `(s, l)`; NaN for a label that could not be learned."""
        logits = (features - self.mean) / self.scale @ self.weights.T + self.bias
        return 1 / (1 + np.exp(-logits.clip(-500, 500)))


@dataclass(frozen=True)
class LabelScore:
    """One label on the test scans; `unknown`: scans whose label is not known."""

    name: str
    auroc: Interval
    average_precision: float
    positives: int
    negatives: int
    unknown: int


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """`macro`: mean AUROC over the labels that could be judged; `absent`: how many could not; `scores` `(s, l)`."""

    macro: Interval
    labels: tuple[LabelScore, ...]
    absent: int
    scores: np.ndarray


def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    seed: int,
    strengths: Sequence[float] = STRENGTHS,
) -> Probe:
    """Fit on the training scans; the penalty is chosen on patients held out of these, never on the test scans."""
    strength, held_out = choose_strength(features, labels, np.asarray(patients), seed, strengths)
    return fit_at(features, labels, strength, held_out)


def choose_strength(
    features: np.ndarray, labels: np.ndarray, patients: np.ndarray, seed: int, strengths: Sequence[float]
) -> tuple[float, float | None]:
    """The C with the best macro AUROC on held-out patients, averaged over folds; and that AUROC."""
    folds = patient_folds(patients, FOLDS, seed)
    if len(strengths) == 1 or folds.max() == 0:
        return (strengths[0] if len(strengths) == 1 else FALLBACK), None
    by_fold = np.array(
        [fold_aurocs(features, labels, folds == fold, strengths) for fold in range(folds.max() + 1)]
    )
    reached = [mean_of_defined(at_one) for at_one in by_fold.T]
    if np.isnan(reached).all():
        return FALLBACK, None
    best = int(np.nanargmax(reached))
    return strengths[best], reached[best]


def fold_aurocs(
    features: np.ndarray, labels: np.ndarray, held_out: np.ndarray, strengths: Sequence[float]
) -> list[float]:
    """Macro AUROC on the scans that are `held_out`, at each C."""
    standard = standardise(features[~held_out], labels[~held_out])
    probes = (fit_standard(standard, labels[~held_out], strength) for strength in strengths)
    return [macro_auroc(probe.scores(features[held_out]), labels[held_out]).value for probe in probes]


def patient_folds(patients: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A fold for every scan, equal for scans of one patient; fewer folds when there are fewer patients."""
    names, number = np.unique(patients, return_inverse=True)
    fold = np.random.default_rng((seed, 0)).permutation(len(names)) % min(count, len(names))
    return fold[number]


def fit_at(
    features: np.ndarray, labels: np.ndarray, strength: float, held_out_auroc: float | None = None
) -> Probe:
    """One logistic regression per label at a given C."""
    return fit_standard(standardise(features, labels), labels, strength, held_out_auroc)


@dataclass(frozen=True, eq=False)
class Standardised:
    """Training features with `mean` and `scale` `(d,)` taken away."""

    mean: np.ndarray
    scale: np.ndarray
    features: StandardFeatures


def standardise(features: np.ndarray, labels: np.ndarray) -> Standardised:
    """What all labels and strengths share."""
    check(features, labels)
    mean, scale = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    scale = np.where(scale > 1e-8, scale, 1.0)  # a feature that never changes says nothing
    return Standardised(mean, scale, prepare((features - mean) / scale))


def fit_standard(
    standard: Standardised, labels: np.ndarray, strength: float, held_out_auroc: float | None = None
) -> Probe:
    """All labels at once; NaN for one whose known scans all have it, or all have it not."""
    varies = (labels == 1).any(0) & (labels == 0).any(0)
    weights, bias = np.full((len(varies), len(standard.mean)), np.nan), np.full(len(varies), np.nan)
    if varies.any():
        weights[varies], bias[varies] = fit_logistic(standard.features, labels[:, varies], strength)
    return Probe(standard.mean, standard.scale, weights, bias, strength, held_out_auroc)


def check(features: np.ndarray, labels: np.ndarray) -> None:
    """What a probe can be fitted on."""
    if len(features) == 0 or labels.shape[1] == 0:
        raise SimcropError("no-studies", "a probe needs labelled training scans, and there are none")
    if not np.isfinite(features).all():
        raise SimcropError("not-finite", "the features hold values that are no numbers; the model is broken")


def evaluate_probe(
    probe: Probe,
    features: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    names: Sequence[str],
    seed: int,
) -> ProbeResult:
    """AUROC per label and their mean on the test scans, with intervals by patient.

    A drawn cohort without positives for a label leaves that label out of its mean.
    """
    scores = probe.scores(features)
    drawn = np.array(
        [
            label_aurocs(scores[rows], labels[rows])
            for rows in resampled(patients, np.random.default_rng((seed, 1)))
        ]
    )
    macro = macro_auroc(scores, labels)
    means = np.array([mean_of_defined(row[~np.isnan(macro.per_label)]) for row in drawn])
    per_label = tuple(
        LabelScore(
            name,
            interval_of(macro.per_label[i], drawn[:, i]),
            average_precision(scores[:, i], labels[:, i]),
            positives=int((labels[:, i] == 1).sum()),
            negatives=int((labels[:, i] == 0).sum()),
            unknown=int(np.isnan(labels[:, i]).sum()),
        )
        for i, name in enumerate(names)
    )
    return ProbeResult(interval_of(macro.value, means), per_label, macro.absent, scores)


def compare_probes(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    patients: Sequence[str] | np.ndarray,
    seed: int,
) -> Interval:
    """Macro AUROC of one method's scores `(s, l)` minus another's, on the same scans and the labels that both know."""
    both = ~np.isnan(label_aurocs(first, labels) + label_aurocs(second, labels))
    return difference(
        lambda rows: macro_auroc(first[rows][:, both], labels[rows][:, both]).value,
        lambda rows: macro_auroc(second[rows][:, both], labels[rows][:, both]).value,
        patients,
        np.random.default_rng((seed, 1)),
    )
