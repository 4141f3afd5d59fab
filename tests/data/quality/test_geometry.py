"""Spacing and field of view along the patient's axes, and who stands out."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.data.preprocess import InputSpec
from simcrop.data.quality.geometry import Measure, box_of, cut_by, geometry_outliers, measures
from simcrop.data.store.cohort import Cohort

LAS = np.diag([-0.7, 0.8, 2.0, 1.0])


def cohort(affines: list[np.ndarray], source: tuple[int, int, int], stored: tuple[int, int, int]) -> Cohort:
    index = pl.DataFrame(
        {
            "source_affine": [affine.ravel().tolist() for affine in affines],
            "source_shape": [list(source)] * len(affines),
            "shape": [list(stored)] * len(affines),
        }
    )
    return Cohort(Path("nowhere"), (1.5, 1.5, 3.0), (-1000.0, 1000.0), index, pl.DataFrame())


def test_lengths_are_along_the_patient_and_not_along_the_file() -> None:
    sagittal = LAS[:, [1, 2, 0, 3]]  # the file's first axis runs to the front, its second to the head
    plain, turned = cohort([LAS], (400, 300, 150), (5, 7, 9)), cohort([sagittal], (300, 150, 400), (5, 7, 9))
    for found in (measures(plain), measures(turned)):
        assert [m.name for m in found[:3]] == ["spacing x", "spacing y", "spacing z"]
        assert [m.values[0] for m in found] == pytest.approx([0.7, 0.8, 2.0, 280, 240, 300])


def test_what_no_chest_ct_has_is_named_and_equal_axes_together() -> None:
    found = measures(cohort([np.diag([3.0, 3.0, 2.0, 1.0])], (110, 110, 50), (5, 7, 9)))
    (outlier,) = geometry_outliers(["a"], found)
    assert outlier.sentence == (
        "spacing x and y: 3 mm, usual are 0.4 to 1.25; field of view z: 100 mm, usual are 200 to 510"
    )


def test_rounding_of_a_header_is_not_unusual() -> None:
    found = measures(cohort([np.diag([0.7, 0.7, 5.0000002, 1.0])], (600, 600, 50), (5, 7, 9)))
    assert found[2].values[0] == 5
    assert not any(measure.unusual[0] for measure in found)


def test_scan_unlike_its_cohort_is_named_though_usual_by_itself() -> None:
    measure = Measure("spacing", "z", np.array([1.0] * 9 + [4.5]), (0.4, 5.0))
    assert not measure.unusual.any()
    assert measure.alone.tolist() == [False] * 9 + [True]
    (outlier,) = geometry_outliers([*"abcdefghij"], [measure])
    assert (outlier.id, outlier.sentence) == ("j", "spacing z: 4.5 mm, the cohort's median is 1")


def test_few_scans_are_not_compared_with_each_other() -> None:
    assert not Measure("spacing", "z", np.array([1.0, 1.0, 4.5]), (0.4, 5.0)).alone.any()


def test_box_lies_in_the_middle_and_may_reach_beyond_the_scan() -> None:
    spec = InputSpec((1.5, 1.5, 3.0), (20, 40, 10))
    box = box_of((30, 30, 12), (1.5, 1.5, 3.0), spec)
    np.testing.assert_allclose(box, [[7.5, -7.5, 3.0], [37.5, 52.5, 33.0]])


def test_scans_longer_than_the_input_are_counted_per_axis() -> None:
    three = cohort([LAS] * 3, (400, 300, 150), (21, 20, 9))
    assert cut_by(three, InputSpec((1.5, 1.5, 3.0), (20, 20, 10))) == {"x": 3, "y": 0, "z": 0}
    assert cut_by(cohort([], (1, 1, 1), (1, 1, 1)), InputSpec()) == {"x": 0, "y": 0, "z": 0}
