"""A growing figure as a drawing: doublings equally far apart, each interval around its point."""

import re

import pytest

from simcrop.figures.scaling import Point, draw_scaling


def test_doublings_are_equally_far_apart_and_bounds_lie_around_their_point() -> None:
    line = [Point(600, 0.7, 0.65, 0.72), Point(2400, 0.8, 0.75, 0.9), Point(1200, 0.6, 0.55, 0.7)]
    drawn = draw_scaling("probe <AUROC>", {"plus & more": line})
    dots = [tuple(map(float, dot)) for dot in re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="3"', drawn)]
    xs = [x for x, _ in dots]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    whiskers = re.findall(r'd="M([\d.]+) ([\d.]+)V([\d.]+)"', drawn)
    assert len(whiskers) == 3
    for (x, y), (at, low, high) in zip(dots, whiskers, strict=True):
        assert float(at) == x
        assert float(high) < y < float(low)
    assert dots[2][1] < dots[0][1] < dots[1][1]  # higher is better, and up
    assert ">probe &lt;AUROC&gt;<" in drawn
    assert "plus &amp; more" in drawn
    assert ">1,200<" in drawn


def test_a_level_lies_at_its_height_and_nothing_measured_is_said() -> None:
    drawn = draw_scaling("probe", {"a": [Point(2, 0.5, 0.5, 0.5)]}, {"ceiling": 0.5})
    y = re.search(r'cy="([\d.]+)" r="3"', drawn)
    assert y is not None
    assert f'stroke-dasharray="4 4" d="M54 {y[1]}H' in drawn
    assert "nothing measured yet" in draw_scaling("probe", {})
