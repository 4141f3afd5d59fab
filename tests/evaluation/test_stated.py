"""What training reads out of a sentence."""

import pytest

from simcrop.evaluation.stated import level_of, opposite_of


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("There is a nodule in the right lung.", "There is no nodule in the right lung."),
        ("Pleural effusion was not observed.", "Pleural effusion was observed."),
        ("The heart is of normal size.", None),
        ("There is an effusion, but no consolidation.", None),
    ],
)
def test_a_sentence_about_findings_is_turned_round(text: str, turned: str | None) -> None:
    assert opposite_of(text) == turned


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("A nodule is seen in the left upper lobe.", "upper"),
        ("There is a consolidation in the posterobasal segment of the right lower lobe.", "lower"),
        ("Atelectasis is present in the middle lobe.", "middle"),
        ("No nodule is seen in the left upper lobe.", None),
        ("There are nodules in the right upper and lower lobes.", None),
        ("There is a cyst in the upper pole of the left kidney.", None),
        ("A lesion is seen in the upper abdomen.", None),
        ("There is a nodule in the left lung.", None),
    ],
)
def test_an_assertion_that_names_one_lobe_states_a_level(text: str, level: str | None) -> None:
    assert level_of(text) == level
