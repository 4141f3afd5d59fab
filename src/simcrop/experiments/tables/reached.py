"""A column's figure of every row, over patients and seeds together, on the same drawn patients for all.

Axes: k repetition, s scan, l label, class or organ, b drawn cohort. Figures in [0, 1].
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from simcrop.evaluation.heads.classes import accuracy_of, drawn_confusion, named
from simcrop.evaluation.segmentation import class_means, mean_of_the_same_classes
from simcrop.experiments import scores
from simcrop.experiments.scores import Reached
from simcrop.experiments.tables.answers import Answers
from simcrop.experiments.tables.columns import Metric
from simcrop.metrics import drawn_counts, drawn_ranking, once
from simcrop.metrics.ranking import completed, label_aurocs, means_of_defined

SEED = 6  # the same patients are drawn for every row, column and label
Drawn = Callable[[Answers, np.ndarray], np.ndarray]  # counts (b, s) -> (b,)


def judged_labels(metric: Metric, answers: Sequence[Answers]) -> np.ndarray:
    """Bool `(l,)`: what every row and seed can be judged by, so that all are means over the same."""
    if metric == "dice":
        return np.atleast_1d((answers[0].truth > 0).any(0))
    if metric == "accuracy":
        return np.ones(len(answers[0].names), bool)
    found = [label_aurocs(of, one.truth) for one in answers for of in one.values]
    return np.atleast_1d(~np.isnan(found).any(0))


def reached(by_seed: Mapping[int, Answers], figure: Drawn) -> Reached:
    """Of one row."""
    answers = tuple(by_seed.values())
    patients = answers[0].patients
    drawn = [
        np.stack([figure(one, counts) for one in answers])
        for counts in drawn_counts(patients, np.random.default_rng(SEED), scores.DRAWS)
    ]
    whole = [float(figure(one, once(len(patients)))[0]) for one in answers]
    return Reached(np.array(whole), np.concatenate(drawn, axis=1), tuple(by_seed))


def figure_of(metric: Metric, judged: np.ndarray) -> Drawn:
    """How a column is judged; several repetitions of one folder are averaged."""
    of = {"auroc": drawn_auroc, "accuracy": drawn_accuracy, "dice": drawn_dice}[metric]
    return lambda answers, counts: np.mean(
        [of(values, answers.truth, judged, counts) for values in answers.values], axis=0
    )


def auroc_of_label(place: int) -> Drawn:
    """Of one label alone."""
    alone = np.array([place])
    return lambda answers, counts: np.mean(
        [drawn_auroc(values, answers.truth, alone, counts) for values in answers.values], axis=0
    )


def drawn_auroc(values: np.ndarray, truth: np.ndarray, judged: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over the same labels in every drawn cohort."""
    values, truth = values[:, judged], truth[:, judged]
    drawn = drawn_ranking(values, truth, counts)["auroc"]
    return means_of_defined(completed(drawn, label_aurocs(values, truth)))


def drawn_accuracy(
    values: np.ndarray, truth: np.ndarray, judged: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """How often the most probable class is the true one, over scans whose class is known."""
    del judged
    return accuracy_of(drawn_confusion(named(values[None]), (truth == 1).astype(np.float32), counts))


def share_of_commonest(truth: np.ndarray) -> float:
    """What `drawn_accuracy` gives where every scan is called the most frequent class."""
    there = (truth == 1).sum(0)
    return float(there.max() / there.sum())


def drawn_dice(values: np.ndarray, truth: np.ndarray, judged: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over organs, the same in every drawn cohort, of each one's mean over the scans that have it."""
    del truth
    values = values[:, judged]
    return mean_of_the_same_classes(class_means(values, counts), values)
