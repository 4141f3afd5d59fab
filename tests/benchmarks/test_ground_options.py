"""`benchmarks/ground_options.py`: every option is measured on the same sentences, against voxels counted by hand."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from simcrop.data.volume import Volume
from simcrop.model import Heat

EVEN = {"spacing_mm": [14, 12, 24], "shape": [24, 28, 16], "patch": [6, 4, 4]}  # patches that can be halved


@pytest.mark.limit(120)
def test_each_option_has_its_gain_over_the_plain_way(
    report_of: Callable[..., dict[str, Any]],
    small_run: Callable[..., Path],
    toy_cohort: Path,
    tmp_path: Path,
) -> None:
    run = small_run(tmp_path / "run", input=EVEN)
    words = (str(run), str(toy_cohort.parent / "raw"), str(toy_cohort), "--scans", "2")
    report = report_of("ground_options", *words)
    options = report["options"]
    assert list(options) == ["plain", "fine", "whole", "top_k_auto", "fine_top_k_auto", "all"]
    assert report["patients"] <= 2 <= report["sentences"]
    assert options["plain"]["distance_mm_gain"] == options["plain"]["dice_gain"] == [0, 0, 0]
    for of in options.values():
        assert of["distance_mm"] >= 0
        assert 0 <= of["dice"] <= 1
        for name, sign in (("distance_mm", -1), ("dice", 1)):
            gain, low, high = of[f"{name}_gain"]
            assert gain == pytest.approx(sign * (of[name] - options["plain"][name]), abs=2e-4)
            assert low <= gain <= high
    # The nearest patch is the same, however many more are boxed.
    assert options["top_k_auto"]["distance_mm"] == options["plain"]["distance_mm"]
    assert options["fine"]["distance_mm"] != options["plain"]["distance_mm"]


def test_distance_and_dice_by_hand(script: Callable[[str], ModuleType]) -> None:
    of = script("ground_options")
    lesion = np.zeros((6, 5, 4), bool)
    lesion[2:4, 1, 1] = True
    region = np.zeros_like(lesion)
    region[3:6, 1, 1] = True
    assert of.dice(region, lesion) == pytest.approx(2 * 1 / (3 + 2))
    volume = Volume(np.zeros(lesion.shape, np.float32), np.diag([2.0, 2.0, 3.0, 1.0]))
    boxes = np.array([[[8.0, 1, 2], [12, 3, 4]], [[0.0, 0, 0], [1, 1, 1]]])
    heat = Heat(np.zeros(lesion.shape), np.zeros((1, 1, 1)), boxes, np.ones(2))
    assert of.away_mm(heat, lesion, volume) == pytest.approx(
        4
    )  # the middle is at (10, 2, 3), the lesion to (6, 2, 3)
