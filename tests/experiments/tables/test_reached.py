"""Means of drawn cohorts are of the same labels and organs in all of them.

Axes: s scan, l label or organ, b drawn cohort.
"""

import numpy as np
import pytest

from simcrop.experiments.tables.reached import drawn_auroc, drawn_dice

EVERY = np.array([True, True])
WITH, WITHOUT = [1, 1, 1, 1], [0, 2, 1, 1]  # with the first scan, and without


def test_a_cohort_without_a_rare_label_has_the_figure_of_the_next_that_has_it() -> None:
    truth = np.array([[1, 1], [0, 1], [0, 0], [0, 0]], float)
    scores = np.array([[0.9, 0.1], [0.2, 0.9], [0.3, 0.5], [0.1, 0.2]])
    first, second = 1.0, 2 / 4  # the rare label is told without fault
    drawn = drawn_auroc(scores, truth, EVERY, np.array([WITHOUT, WITH], np.int64))
    alone = 1.0  # of the second label, without its lost positive
    assert drawn == pytest.approx([(first + alone) / 2, (first + second) / 2])


def test_a_cohort_without_an_organ_has_the_figure_of_the_next_that_has_it() -> None:
    dice = np.array([[0.2, 0.9], [np.nan, 0.8], [np.nan, 0.7], [np.nan, 0.6]])
    drawn = drawn_dice(dice, np.zeros_like(dice), EVERY, np.array([WITHOUT, WITH], np.int64))
    assert drawn == pytest.approx([(0.2 + 2.9 / 4) / 2, (0.2 + 0.75) / 2])
