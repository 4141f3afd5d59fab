"""Dots with intervals: all panels on one scale, ours in its colour, a place for what has no figure."""

import re

import pytest

from simcrop.figures.dots import OURS, THEIRS, draw_dots
from simcrop.figures.intervals import Bar


def test_panels_share_a_scale_and_dots_lie_within_their_whiskers() -> None:
    bars = {"MAE": Bar(60.0, 55.0, 70.0), "SimCroP": Bar(70.0, 65.0, 80.0)}
    markup = draw_dots({"Nodule": bars, "<Cyst>": {"MAE": Bar(55.0, 50.0, 60.0), "SimCroP": None}}, "SimCroP")
    whiskers = [
        tuple(map(float, of)) for of in re.findall(r'stroke-width="2" d="M([\d.]+) [\d.]+H([\d.]+)"', markup)
    ]
    dots = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', markup)]
    assert len(dots) == 3
    assert all(low < dot < high for dot, (low, high) in zip(dots, whiskers, strict=True))
    assert whiskers[1][0] - whiskers[0][0] == pytest.approx(
        2 * (dots[0] - dots[2]), abs=0.3
    )  # 10 points, and 5
    assert markup.count(f'fill="{OURS}"') == 1
    assert markup.count(f'fill="{THEIRS}"') == 2
    assert markup.count("no figure") == 1
    assert "&lt;Cyst&gt;" in markup
