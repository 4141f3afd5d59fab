"""Curves of a run: gaps, one row, absent terms, resumed steps."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from simcrop.figures.curves import (
    MOST_POINTS,
    Curve,
    draw_curves,
    pieces,
    read_curve,
    smoothed,
    span,
    thinned,
    ticks,
)


def rows(count: int) -> list[dict[str, float]]:
    return [{"step": 10 * n, "volume": 1 / (n + 1), "align": 2.0, "lr": 1e-4} for n in range(count)]


def panels(markup: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(f"<div>{markup}</div>").findall(".//svg")


def test_one_panel_per_term_and_one_for_the_learning_rate() -> None:
    drawn = panels(draw_curves(rows(30), ["volume", "align"], "A run"))
    assert [p.findtext("text") for p in drawn] == ["volume", "align", "learning rate"]
    assert all("nan" not in ElementTree.tostring(p, "unicode") for p in drawn)


def test_rows_without_a_finite_value_leave_a_gap_and_a_red_tick() -> None:
    journal = rows(40)
    journal[20]["volume"] = math.nan
    journal[21]["volume"] = math.inf
    drawn = draw_curves(journal, ["volume"], "")
    raw = re.findall(r'class="line"[^>]* d="([^"]*)"', drawn)[0]
    assert raw.count("M") == 2
    assert drawn.count('stroke="#d1495b"') == 2
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_one_row_is_a_dot_and_no_row_says_so() -> None:
    assert 'stroke-width="6"' in draw_curves(rows(1), ["volume"], "")
    assert "no values in the journal" in draw_curves([], ["volume"], "")
    assert "no values in the journal" in draw_curves(rows(3), ["absent"], "")


def test_names_are_escaped() -> None:
    drawn = draw_curves([{"step": 0, "<b>": 1.0}], ["<b>"], "a < b & c")
    assert "<b>" not in drawn
    assert "a &lt; b &amp; c" in drawn


def test_later_row_of_a_repeated_step_counts() -> None:
    curve = read_curve(
        [{"step": 5, "a": 1.0}, {"step": 10, "a": 2}, {"step": 5, "a": 3.0}, {"step": 15}], "a"
    )
    np.testing.assert_array_equal(curve.steps, [5, 10, 15])
    np.testing.assert_array_equal(curve.values, [3, 2, np.nan])


def test_long_run_is_thinned_without_moving_its_mean() -> None:
    count = 7 * MOST_POINTS
    curve = thinned(Curve("a", np.arange(float(count)), np.linspace(3, 1, count)))
    assert len(curve.steps) == MOST_POINTS
    assert curve.values.mean() == pytest.approx(2)
    assert curve.steps[0] == 3  # mean of 0..6


def test_smoothing_keeps_a_constant_and_bridges_holes() -> None:
    values = np.full(90, 4.0)
    values[[0, 17, 18]] = np.nan
    np.testing.assert_allclose(smoothed(values), 4.0)
    assert np.std(smoothed(np.random.default_rng(0).normal(size=500))) < 0.3


def test_runs_of_finite_values() -> None:
    assert list(pieces(np.array([np.nan, 1, 2, np.nan, 3]))) == [slice(1, 3), slice(4, 5)]


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.13, 0.92, 4) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert ticks(0, 4000, 4) == [0, 1000, 2000, 3000, 4000]
    assert ticks(-3, 3, 2) == [0]


def test_constant_gets_room() -> None:
    assert span(np.array([2.0])) == pytest.approx((1.8, 2.2))
    assert span(np.array([0.0, 0.0])) == (-1.0, 1.0)
