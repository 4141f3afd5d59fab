"""Bars: every value is counted once, the unusual ones in another colour, foreign names escaped."""

from xml.etree import ElementTree

import numpy as np
import pytest

from simcrop.figures.bars import BAR_WIDTH, BARS, draw_histogram, draw_shares, edges_of
from simcrop.figures.unit import draw_roc


def bars(markup: str, kind: str) -> list[ElementTree.Element]:
    return [bar for bar in ElementTree.fromstring(markup).iter("rect") if bar.get("class") == kind]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("values", [[3], [3, 3, 3], [1, 2, 2, 9], list(range(0, 400, 7))])
def test_every_value_lies_in_one_bar(values: list[int], whole: bool) -> None:
    edges = edges_of(np.array(values), whole)
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert len(edges) <= BARS + 2


def test_bars_of_counts_stand_over_whole_numbers() -> None:
    assert edges_of(np.array([4, 6]), whole=True).tolist() == [3.5, 4.5, 5.5, 6.5]


def test_unusual_values_have_another_colour_and_heights_follow_counts() -> None:
    drawn = draw_histogram("spacing z", np.array([5.0, 5.0, 5.0, 9.0]), "mm", usual=(0.4, 5.0))
    usual, beneath = bars(drawn, "mark")
    (outside,) = bars(drawn, "odd")
    assert float(usual.attrib["height"]) == pytest.approx(3 * float(outside.attrib["height"]), abs=0.2)
    assert {**outside.attrib, "class": "mark"} == beneath.attrib
    assert "median 5 mm" in drawn


def test_nothing_to_show_is_said() -> None:
    assert "nothing to show" in draw_histogram("words", np.empty(0), "")


@pytest.mark.parametrize("values", [np.empty(0), np.array([1.0, 2.0])])
def test_names_are_escaped_once(values: np.ndarray) -> None:
    drawn = draw_histogram("A & B", values, "")
    assert "A & B" in {text.text for text in ElementTree.fromstring(drawn).iter("text")}
    drawn = draw_roc("A & B", np.array([[0.1, 0.9]]), np.array([0.0, 1.0]), 1.0)
    assert "A & B" in {text.text for text in ElementTree.fromstring(drawn).iter("text")}


def test_share_bars_are_on_one_scale_and_names_are_escaped() -> None:
    drawn = draw_shares([("<b>nodule</b>", 1, 4), ("effusion", 3, 3), ("unseen", 0, 0), ("x" * 60, 1, 2)])
    widths = [float(bar.attrib["width"]) for bar in bars(drawn, "mark")]
    assert widths == pytest.approx([BAR_WIDTH / 4, BAR_WIDTH, 0, BAR_WIDTH / 2], abs=0.1)
    assert "<b>" not in drawn
    assert "25%, 1 of 4" in drawn
    assert "unknown" in drawn
