"""The HU histogram: the median's peak lies in its tissue's field, odd scans are drawn, gaps stay gaps."""

import re
from xml.etree import ElementTree

import numpy as np

from simcrop.data.quality.histograms import BONE, TISSUES, gathered, histogram
from simcrop.figures.curves import ALARM
from simcrop.figures.spectrum import MEDIAN, MOST_OUTLIERS, draw_spectrum


def scans(count: int) -> dict[str, np.ndarray]:
    """Half air, half soft tissue, nothing between."""
    rng = np.random.default_rng(0)
    return {f"s{i}": histogram(rng.choice([-1000, 45], (5, 7, 9)).astype(np.int16)) for i in range(count)}


def lines(markup: str, colour: str) -> list[str]:
    paths = ElementTree.fromstring(markup).iter("path")
    return [path.attrib["d"] for path in paths if path.get("stroke") == colour]


def test_median_stands_in_the_fields_of_air_and_soft_tissue_with_a_gap_between() -> None:
    drawn = draw_spectrum(gathered(scans(3)), [])
    (median,) = lines(drawn, MEDIAN)
    places = [float(x) for x in re.findall(r"[ML]([\d.]+) ", median)]
    fields = [
        (float(r.attrib["x"]), float(r.attrib["x"]) + float(r.attrib["width"]))
        for r in ElementTree.fromstring(drawn).iter("rect")
    ]
    assert len(fields) == len((*TISSUES, BONE))
    air, soft = fields[0], fields[3]
    assert len(places) == 2
    assert air[0] < places[0] < air[1]
    assert soft[0] < places[1] < soft[1]


def test_odd_scans_are_drawn_one_by_one_up_to_a_few() -> None:
    seen = gathered(scans(9))
    assert lines(draw_spectrum(seen, []), ALARM) == []
    assert len(lines(draw_spectrum(seen, ["s2"]), ALARM)) == 1
    assert len(lines(draw_spectrum(seen, list(seen.ids)), ALARM)) == MOST_OUTLIERS
