"""A curve over a setting: where its points lie, and the paper's choice among them."""

import re

import pytest

from simcrop.figures.sweep import Swept, draw_sweep

POINTS = [Swept(at, value, value - 1, value + 1) for at, value in ((64.0, 72.0), (16.0, 70.0), (32.0, 71.0))]


def dots(markup: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', markup)]


@pytest.mark.parametrize(("doubling", "ratio"), [(True, 1.0), (False, 2.0)])
def test_points_stand_evenly_or_doubling_by_doubling(doubling: bool, ratio: float) -> None:
    markup = draw_sweep("K", POINTS, 64.0, doubling)
    (a, high), (b, _), (c, low) = dots(markup)
    assert (c - b) / (b - a) == pytest.approx(ratio, abs=0.01)
    assert low < high  # 72 above 70
    assert f'd="M{c:.1f} 34V' in markup
    assert "72.0 there" in markup


def test_without_points_nothing_is_claimed() -> None:
    assert "nothing measured yet" in draw_sweep("K", [], 64.0)
