"""What a run says about itself: whether it looks at the image, in one sentence."""

import pytest

from simcrop.tasks.training.page import monitored_rows, summary, verdict


def verdict_on(true: float, foreign: float, blank: float) -> str:
    return verdict(
        {"align_accuracy": true, "align_accuracy_mispaired": foreign, "align_accuracy_blank": blank}
    )


def test_alignment_that_is_as_good_without_an_image_says_so() -> None:
    blind = verdict_on(0.97, 0.95, 0.96)
    assert blind.startswith("This alignment does not need an image")
    assert "97% of cases with the true image" in blind
    assert "95% with another patient's" in blind
    assert "96% with an empty one" in blind


def test_alignment_that_is_as_good_with_anyones_image_says_so() -> None:
    assert verdict_on(0.88, 0.89, 0.66).startswith("This alignment does not need the patient's own image")


def test_alignment_that_needs_the_image_gives_all_figures() -> None:
    seeing = verdict_on(0.81, 0.41, 0.22)
    assert seeing.startswith("This alignment needs the image")
    assert all(figure in seeing for figure in ("81%", "41%", "22%"))


def test_nothing_is_concluded_where_no_other_patient_could_be_asked() -> None:
    alone = verdict({"align_accuracy": 0.66, "align_accuracy_blank": 0.56})
    assert "is not known" in alone
    assert "66% with the true image" in alone
    assert "needs the image:" not in alone


def test_reports_too_short_to_ask_are_named() -> None:
    assert "too short" in verdict({"effective_rank": 3.0})


def test_what_a_monitor_finds_is_no_loss_term_and_the_last_one_is_in_the_summary() -> None:
    row = {"epoch": 1.0, "lr": 0.1, "grad_norm": 1.0, "volumes_per_s": 2.0, "data_wait": 0.0}
    rows = [{"step": step, "loss": 9.0 - step, "align": 1.0, **row} for step in (1, 2, 3)]
    rows[0]["monitored"], rows[2]["monitored"] = {"align_accuracy": 0.2}, {"align_accuracy": 0.4}
    assert monitored_rows(rows) == [{"step": 1, "align_accuracy": 0.2}, {"step": 3, "align_accuracy": 0.4}]
    figures = summary(rows, ["align"])
    assert figures["align_accuracy"] == pytest.approx(0.4)
    assert not [name for name in figures if name.startswith("monitored")]
