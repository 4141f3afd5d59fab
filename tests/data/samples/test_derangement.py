"""The mispaired control: every report stands beside the scan of another patient, and every scan is used once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcrop.data.samples.dataset import derangement
from simcrop.errors import SimcropError


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(0, 5))
def test_nobody_gets_a_scan_of_their_own_and_each_is_used_once(counts: list[int], seed: int) -> None:
    patients = np.random.default_rng(seed).permutation(
        [f"p{i}" for i, count in enumerate(counts) for _ in range(count)]
    )
    if 2 * max(counts) > len(patients):
        with pytest.raises(SimcropError, match="more than half of the studies"):
            derangement(patients.tolist(), seed)
        return
    taken = derangement(patients.tolist(), seed)
    assert sorted(taken) == list(range(len(patients)))
    assert (patients[taken] != patients).all()


def test_of_one_scan_each_it_is_a_ring_of_random_order() -> None:
    taken = derangement([f"p{i}" for i in range(50)], seed=1)
    at, seen = 0, set[int]()
    while at not in seen:
        seen.add(at)
        at = taken[at]
    assert len(seen) == 50
    assert taken != derangement([f"p{i}" for i in range(50)], seed=2)
    assert np.mean(np.diff(taken) == 1) < 0.2
