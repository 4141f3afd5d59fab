"""A test set of masks: absent organs are left out and counted, and means are by class, with intervals by patient."""

import numpy as np
import pytest

from simcrop.errors import SimcropError
from simcrop.evaluation.mask_pairs import compare_masks
from simcrop.evaluation.segmentation import ScanScores, judge, score_scan
from simcrop.metrics.segmentation import ClassScore

NAMES = {1: "left lung", 2: "right lung", 5: "windpipe"}
NAN = float("nan")


def found(dice: float, hd95: float = 3.0) -> ClassScore:
    return ClassScore(dice, hd95, dice / 2, 2.0, 100.0, 90.0)


ABSENT = ClassScore(NAN, NAN, NAN, 2.0, 0.0, 0.0)
INVENTED = ClassScore(NAN, NAN, NAN, 2.0, 0.0, 7.0)
MISSED = ClassScore(0.0, NAN, 0.0, 2.0, 50.0, 0.0)


def scan(i: int, *scores: ClassScore) -> ScanScores:
    return ScanScores(f"s{i}", f"p{i // 2}", dict(zip(NAMES.values(), scores, strict=True)))


SCANS = [
    scan(0, found(0.9, 2.0), found(0.8), ABSENT),
    scan(1, found(0.7, 4.0), MISSED, ABSENT),
    scan(2, ABSENT, found(0.4), INVENTED),
    scan(3, INVENTED, found(0.8), ABSENT),
]


def test_means_are_over_scans_that_have_the_class_and_then_over_classes() -> None:
    judged = judge(SCANS, seed=0)
    left, right, windpipe = judged.classes
    assert left.means["dice"].value == pytest.approx(0.8)
    assert left.means["hd95_mm"].value == pytest.approx(3.0)
    assert right.means["dice"].value == pytest.approx(0.5)  # the missed one counts as 0
    assert right.means["hd95_mm"].value == pytest.approx(3.0)  # and lies at no distance
    assert np.isnan(windpipe.means["dice"].value)
    assert judged.means["dice"].value == pytest.approx((0.8 + 0.5) / 2)
    assert judged.unseen == ("windpipe",)


def test_absent_missed_and_invented_are_counted() -> None:
    counts = [(of.present, of.absent, of.missed, of.false_positives) for of in judge(SCANS, seed=0).classes]
    assert counts == [(2, 2, 0, 1), (4, 0, 1, 0), (0, 4, 0, 1)]


def test_intervals_draw_patients_and_not_scans() -> None:
    judged = judge(SCANS, seed=0)
    right = judged.classes[1].means["dice"]
    assert (right.low, right.high) == (pytest.approx(0.4), pytest.approx(0.6))  # the two patients' means
    assert judged.patients == 2
    assert judged.classes[0].means["dice"].draws < right.draws == 1000  # patient 1 alone has no left lung


def test_plain_numbers_name_what_is_defined_and_nothing_else() -> None:
    figures = judge(SCANS, seed=0).figures()
    assert figures["dice"] == pytest.approx(0.65)
    assert figures["dice:left lung"] == pytest.approx(0.8)
    assert figures["dice_low:right lung"] == pytest.approx(0.4)
    assert figures["absent:windpipe"] == 4
    assert "dice:windpipe" not in figures
    assert figures["nsd_tolerance_mm"] == 2.0


def test_a_scan_is_scored_by_class_and_background_is_none_of_them() -> None:
    truth = np.zeros((6, 7, 8), np.int16)
    truth[1:3], truth[4:5] = 1, 2
    predicted = truth.copy()
    predicted[4:5, :3] = 0
    scores = score_scan("a", "b", predicted, truth, (1.0, 1.0, 2.0), NAMES)
    assert list(scores.scores) == list(NAMES.values())
    assert scores.scores["left lung"].dice == 1.0
    assert scores.scores["right lung"].dice == pytest.approx(2 * 32 / (32 + 56))
    rows = scores.rows()
    assert [row["class"] for row in rows] == list(NAMES.values())
    assert rows[0]["truth_ml"] == pytest.approx(2 * 7 * 8 * 2 / 1000)
    assert rows[2]["study"] == "a"
    assert np.isnan(rows[2]["dice"])


def test_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(SimcropError, match="voxels"):
        score_scan("a", "b", np.zeros((6, 7, 8)), np.zeros((6, 7, 9)), (1.0, 1.0, 1.0), NAMES)


def test_nothing_and_scans_of_other_classes_are_not_judged() -> None:
    with pytest.raises(SimcropError, match="nothing to judge"):
        judge([], seed=0)
    with pytest.raises(SimcropError, match="same classes"):
        judge([SCANS[0], ScanScores("x", "y", {"spleen": found(0.5)})], seed=0)


def test_one_method_alone_has_no_pairs() -> None:
    alone, both = compare_masks([SCANS], seed=0), compare_masks([SCANS, SCANS], seed=0)
    for one, two in zip(alone, both, strict=True):
        assert str(one.values) == str(two.values[:1])  # NaN is not NaN
        assert (one.differences, one.p_values, one.scans) == ({}, {}, {})


def test_mean_over_classes_is_of_the_same_classes_in_every_drawn_cohort() -> None:
    """Without the first patient nobody has a left lung: a mean over the right alone would be another figure."""
    scans = [scan(i, found(0.2) if i < 2 else ABSENT, found(0.8), ABSENT) for i in range(8)]
    mean = judge(scans, seed=0).means["dice"]
    assert (mean.value, mean.low, mean.high) == (pytest.approx(0.5),) * 3
    assert 0 < mean.draws < 1000
    better = [scan(i, found(0.3) if i < 2 else ABSENT, found(0.8), ABSENT) for i in range(8)]
    apart = compare_masks([better, scans], seed=0)[0].mean_differences[0, 1]
    assert (apart.value, apart.low, apart.high) == (pytest.approx(0.05),) * 3
