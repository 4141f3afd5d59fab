"""What training reads out of a sentence."""

import pytest

from simcrop.evaluation.wording.claims import findings
from simcrop.evaluation.wording.stated import claims_of, level_of, opposite_of


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


@pytest.mark.parametrize(
    ("text", "asserted", "denied"),
    [
        ("There is a nodule in the right lung.", {"Lung nodule"}, set()),
        (
            "No pericardial or pleural effusion was detected.",
            set(),
            {"Pericardial effusion", "Pleural effusion"},
        ),
        ("No nodule is seen in the left lung.", set(), set()),
        ("The lungs are clear.", set(), set()),
    ],
)
def test_claims_are_kinds_that_are_asserted_or_denied_everywhere(
    text: str, asserted: set[str], denied: set[str]
) -> None:
    found = dict(zip(findings().kinds, claims_of(text), strict=True))
    assert {kind for kind, sign in found.items() if sign == 1} == asserted
    assert {kind for kind, sign in found.items() if sign == -1} == denied
