"""Bars with intervals by name: where they end, and that no name is cut off."""

import re

import pytest

from simcrop.figures.intervals import BAR_WIDTH, LETTER, Bar, draw_intervals

LONG = "Coronary artery wall calcification, as Calcification"


def test_bar_ends_at_its_value_and_whisker_at_its_bounds() -> None:
    svg = draw_intervals({"Emphysema": [Bar(0.75, 0.5, 1.0)], "Cyst": [None]}, ["AUROC"])
    (left, width) = map(float, re.findall(r'<rect x="([\d.]+)"[^>]* width="([\d.]+)"', svg)[0])
    assert width == 0.75 * BAR_WIDTH
    (low, high) = map(float, re.findall(r'stroke-width="2" d="M([\d.]+) [\d.]+H([\d.]+)"', svg)[0])
    assert (low, high) == (left + 0.5 * BAR_WIDTH, left + BAR_WIDTH)
    assert svg.count("no figure") == 1
    assert svg.count("0.750 [0.50, 1.00]") == 1


@pytest.mark.parametrize("name", ["Emphysema", LONG, LONG * 2])
def test_longest_name_has_room(name: str) -> None:
    svg = draw_intervals({name: [Bar(0.5, 0.4, 0.6)]}, ["AUROC"])
    end = float(re.findall(rf'x="([\d.]+)"[^>]*>{name}<', svg)[0])
    assert end >= LETTER * len(name)
    assert end < float(re.findall(r'<rect x="([\d.]+)"', svg)[0])


def test_no_name_is_said_and_no_chart() -> None:
    assert draw_intervals({}, ["AUROC"]) == "<p>nothing to show</p>"
