"""Numbers by study without an object for each: as a dictionary gives them. Axes: s number of a study."""

import numpy as np
import pytest

from simcrop.data.samples.by_study import ByStudy


def test_numbers_are_those_of_a_dictionary_whatever_the_order_of_the_ids() -> None:
    slow = {"b": np.array([3, 1]), "a": np.zeros(0, int), "c_10": np.array([7]), "c_2": np.array([5, 5, 2])}
    found = ByStudy.of(list(slow), list(slow.values()), np.int32)
    assert set(found) == set(slow)
    for id, numbers in slow.items():
        assert found[id].dtype == np.int32
        assert found[id].tolist() == numbers.tolist()
    assert "c" not in found
    with pytest.raises(KeyError):
        found["c"]


def test_nothing_at_all_is_an_empty_mapping() -> None:
    assert dict(ByStudy.of([], [], np.bool_)) == {}
    assert ByStudy.of(["a"], [np.zeros(0, bool)], np.bool_)["a"].dtype == bool
