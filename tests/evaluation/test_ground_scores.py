"""What explains a map away, by hand: the usual map of a kind, a blind region, and what is there against what is not.

Axes: n patch, of which the last lies beside the scan.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simcrop.evaluation.grounding.answers import ScanAnswers, score
from simcrop.evaluation.grounding.questions import GroundQuestion
from simcrop.evaluation.grounding.scores import Priors, judge, priors_of, thresholds_of
from simcrop.evaluation.grounding.summary import defined, groups_of, says_nothing, summary_of

N = 5
OUT = -np.inf
NO_PRIOR = Priors({}, {})


def question(patient: str = "p", kind: str = "Lung nodule", side: str = "left") -> GroundQuestion:
    return GroundQuestion(f"{patient}-scan", patient, 0, kind, side, (1,), None, "words", None)


def answers(own: list[float], **changes: Any) -> ScanAnswers:
    """One question, whose lesion fills half of patch 1 and lies 30 mm from patch 3."""
    row = np.array([own])
    nothing = np.full((1, N), np.nan)
    usual = {
        "own": row,
        "swapped": nothing,
        "random": row[:, ::-1].copy() if np.isfinite(row).all() else row,
        "lesion": np.array([[0, 5, 0, 0, 0]]),
        "scan": np.array([10, 10, 10, 10, 0]),
        "total": np.array([5]),
        "distance": np.array([[10.0, 0, 10, 30, 50]]),
        "level": np.array([2.0]),
        "height": np.array([0.0, 4, 8, 12, 16]),
        "ml": np.array([0.1]),
        **{name: np.array([0.5]) for name in ("present", "absent", "denied")},
        **{f"{name}_random": np.array([0.5]) for name in ("present", "absent", "denied")},
    }
    return ScanAnswers(**(usual | changes))


def test_one_sentence_by_hand() -> None:
    found = judge(question(), answers([0.1, 0.9, 0.2, 0.3, OUT]), 0, NO_PRIOR, {"own": 0.3}, k=2).values
    own = {measure: value for (measure, who), value in found.items() if who == "own"}
    assert {name: own[name] for name in ("hit", "hit_k", "precision", "recall")} == {
        "hit": 1,
        "hit_k": 1,
        "precision": 0.5,
        "recall": 1,
    }
    assert (own["distance_mm"], own["depth_mm"]) == (0, 2)
    assert own["dice"] == pytest.approx(2 * 5 / (20 + 5))
    assert own["iou"] == pytest.approx(5 / 20)
    chance = {measure: value for (measure, who), value in found.items() if who == "chance"}
    assert (chance["hit"], chance["precision"], chance["hit_k"]) == (0.25, 0.25, 0.5)
    assert chance["recall"] == 0.5
    assert chance["distance_mm"] == pytest.approx(12.5)
    assert chance["depth_mm"] == pytest.approx((2 + 2 + 6 + 10) / 4)
    assert chance["dice"] == pytest.approx(2 * 2.5 / (20 + 5)), "two of four patches, laid anywhere"
    assert np.isnan([found["hit", "swapped"], found["hit", "prior"]]).all()


def test_the_usual_map_is_the_mean_over_the_scans_that_reach_a_patch() -> None:
    train = [
        ([question("a")], answers([0.0, 0.2, 0.4, OUT, OUT])),
        ([question("b")], answers([1.0, 0.4, 0.0, 0.5, OUT])),
        ([question("c", "Emphysema")], answers([9.0, 9, 9, 9, OUT])),
    ]
    priors = priors_of(train)
    assert priors.sentences == {"Lung nodule": 2, "Emphysema": 1}
    own = np.array([0.0, 0, 0, 0, OUT])
    np.testing.assert_allclose(priors.map_in("Lung nodule", own), [0.5, 0.3, 0.2, 0.5, OUT])
    assert np.isnan(priors.map_in("Consolidation", own)).all()
    found = judge(question(), answers([0.1, 0.9, 0.2, 0.3, OUT]), 0, priors, {}, k=1).values
    assert (found["hit", "own"], found["hit", "prior"]) == (1, 0)
    assert np.isnan(found["dice", "own"]), "no threshold was chosen"


def test_thresholds_are_of_each_map_on_its_own() -> None:
    scans = [
        ([question()], answers([0.1, 0.9, 0.2, 0.3, OUT], random=np.array([[0.05, 0.06, 0.0, 0.01, OUT]])))
    ]
    found = thresholds_of(scans, NO_PRIOR)
    assert 0.3 < found["own"] <= 0.9
    assert 0.05 < found["random"] <= 0.06
    assert np.isnan(found["prior"])
    assert np.isnan([*thresholds_of([], NO_PRIOR).values()]).all()


def test_a_lesion_beyond_the_input_is_judged_by_nothing_and_a_level_by_depth_alone() -> None:
    beyond = answers([0.1, 0.9, 0.2, 0.3, OUT], lesion=np.zeros((1, N), int))
    level = replace(beyond, ml=np.zeros(1), total=np.zeros(1, int))
    judged = [judge(question(), of, 0, NO_PRIOR, {}, k=2) for of in (beyond, level)]
    assert defined(judged) == [judged[1]]
    assert {measure for (measure, who), value in judged[1].values.items() if value == value} == {"depth_mm"}
    assert [of.size for of in judged] == ["below 10 mm", ""]


def test_groups_are_those_of_findings_sizes_and_sides_with_patients_counted_once() -> None:
    near, far = [0.1, 0.9, 0.2, 0.3, OUT], [0.9, 0.1, 0.2, 0.3, OUT]
    judged = [
        judge(asked, answers(own, ml=np.array([ml])), 0, NO_PRIOR, {}, k=1)
        for asked, own, ml in (
            (question("a"), near, 0.1),
            (question("a", side="right"), far, 5.0),
            (question("b", "Emphysema", ""), near, 500.0),
        )
    ]
    every = summary_of("all", judged, 0)
    assert (every.sentences, every.patients) == (3, 2)
    assert every.figures["hit", "own"].value == pytest.approx(2 / 3)
    assert every.figures["hit", "over_chance"].value == pytest.approx(2 / 3 - 0.25)
    assert [(of.name, of.figures["hit", "own"].value) for of in groups_of(judged, "findings", 0)] == [
        ("Emphysema", 1),
        ("Lung nodule", 0.5),
    ]
    assert [of.name for of in groups_of(judged, "sizes", 0)] == [
        "below 10 mm",
        "10 to 30 mm",
        "30 mm and more",
    ]
    assert [of.name for of in groups_of(judged, "sides", 0)] == ["left", "right"]


def test_what_is_there_is_told_from_what_is_not_within_each_scan_alone() -> None:
    one = answers([0.0] * N, present=np.array([0.5]), denied=np.array([0.1, 0.7]), absent=np.array([np.nan]))
    other = answers([0.0] * N, present=np.array([9.0]), denied=np.array([8.0]), absent=np.array([9.5]))
    found = says_nothing([([question("a")], one), ([question("b")], other)], 0)
    assert found["denied"].value == pytest.approx((0.5 + 1) / 2)
    assert found["absent"].value == 0
    assert found["all"].value == pytest.approx((0.5 + 0.5) / 2)
    assert found["all_random"].value == 0.5


def test_a_score_is_the_mean_of_the_nearest_patches_in_the_scan() -> None:
    maps = np.array([[1.0, 3, 2, OUT], [5.0, OUT, OUT, OUT], [np.nan] * 4])
    np.testing.assert_allclose(score(maps, 2), [2.5, 5, np.nan])
    assert score(np.zeros((0, 4)), 2).shape == (0,)
