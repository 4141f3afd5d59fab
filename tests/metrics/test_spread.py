"""Effective rank by hand: a line, an even spread, nothing."""

import numpy as np
import pytest

from simcrop.metrics import effective_rank


def test_line_has_rank_one_and_even_spread_its_dimension() -> None:
    line = np.outer(np.linspace(-1, 1, 9), [1.0, 2.0, 3.0, 4.0, 5.0])
    assert effective_rank(line) == pytest.approx(1.0)
    even = np.concatenate([np.eye(5), -np.eye(5)])
    assert effective_rank(even) == pytest.approx(5.0)
    assert effective_rank(even + 100) == pytest.approx(5.0)  # where the cloud lies does not matter


def test_scans_that_are_all_alike_have_rank_one() -> None:
    assert effective_rank(np.ones((7, 5))) == 1.0
