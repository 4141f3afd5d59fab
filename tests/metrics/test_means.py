"""Means of columns: the same figures and intervals as one column after the other, a slow way."""

import numpy as np

from simcrop.metrics.intervals import interval
from simcrop.metrics.means import mean_intervals
from simcrop.metrics.ranking import mean_of_defined


def test_every_column_has_the_interval_that_it_has_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(31, 4))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 3] = np.nan
    values[:30, 2] = np.nan  # in most drawn cohorts there is none
    values[30, 2] = 1.0
    patients = np.array([f"p{i // 3}" for i in rng.permutation(31)])
    found = mean_intervals(values, patients, np.random.default_rng(5), draws=200)
    for column, one in zip(values.T, found, strict=True):
        slow = interval(
            lambda rows, of=column: mean_of_defined(of[rows]), patients, np.random.default_rng(5), draws=200
        )
        np.testing.assert_allclose([*vars(one).values()], [*vars(slow).values()], rtol=1e-6)
    assert [one.draws for one in found][3] == 0
    assert 0 < found[2].draws < 200


def test_of_nothing_nothing_is_known() -> None:
    (one,) = mean_intervals(np.zeros((0, 1)), [], np.random.default_rng(0))
    assert np.isnan([one.value, one.low, one.high]).all()
