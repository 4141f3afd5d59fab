"""Sentences with other sides, lobes and findings: what changes, what only looks alike, and twice is not at all."""

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from simcrop.data.report import sentences
from simcrop.evaluation.wording.word_swaps import paraphrase, swap_findings, swap_lobes, swap_sides

SIDES = {
    "A nodule is seen in the left upper lobe.": "A nodule is seen in the right upper lobe.",
    "There is a right-sided pleural effusion.": "There is a left-sided pleural effusion.",
    "LEFT pleural effusion, Right lung clear.": "RIGHT pleural effusion, Left lung clear.",
    "The mediastinum is shifted leftward.": "The mediastinum is shifted rightward.",
    "Bilateral effusion, more on the right.": "Bilateral effusion, more on the left.",
    "Effusion of 35 mm on the right and 18 mm on the left.": "Effusion of 35 mm on the left and 18 mm on the right.",
    "Consolidation in the LUL.": "Consolidation in the RUL.",
    "Lt. lower lobe atelectasis.": "Rt. lower lobe atelectasis.",
    "Nodule in the right upper lobe and mass in the left lower lobe.": (
        "Nodule in the left upper lobe and mass in the right lower lobe."
    ),
    "The patient has left lower lobe pneumonia.": "The patient has right lower lobe pneumonia.",
    "A drain was left in place on the right.": "A drain was left in place on the left.",
    "The catheter has left a scar in the right apex.": "The catheter has left a scar in the left apex.",
    "Bright foci in the left lung.": "Bright foci in the right lung.",
    "In the upright position fluid layers on the right.": "In the upright position fluid layers on the left.",
    "There is a mass right next to the left hilum.": "There is a mass right next to the right hilum.",
    "Mild levoscoliosis is seen.": "Mild dextroscoliosis is seen.",
    "A 5 mm left-facing opening.": "A 5 mm right-facing opening.",
    "A cyst in the superior-right kidney.": "A cyst in the superior-left kidney.",
}
NO_SIDES = (
    "Both lungs are clear.",
    "No bilateral effusion.",
    "Atelectasis in the right and left lower lobes.",
    "Ground glass in the right lung and in the left lung.",
    "No mass in the right or left adrenal gland.",
    "Bright, upright, cleft and righteous leftovers.",
    "The tube has been left in place.",
    "Infection has left fibrotic bands.",
    "Stents in the left anterior descending artery.",
    "A nodule in the right middle lobe.",
    "Atelectasis of the left lingular segment.",
    "The ribs meet at right angles.",
)
LOBES = {
    "A nodule in the right upper lobe.": "A nodule in the right lower lobe.",
    "Emphysema in the Upper lobes of both lungs.": "Emphysema in the Lower lobes of both lungs.",
    "Upper left lobe consolidation.": "Lower left lobe consolidation.",
    "The superior segment of the lower lobe.": "The posterior segment of the upper lobe.",
    "Left upper lobe lingular segment atelectasis.": "Left lower lobe laterobasal segment atelectasis.",
    "Reticulation in the mid-lower zones.": "Reticulation in the mid-upper zones.",
    "Consolidation in the RUL.": "Consolidation in the RLL.",
    "Lower lobe nodule, upper abdominal organs normal.": "Upper lobe nodule, upper abdominal organs normal.",
    "A nodule in the middle lobe of the right lung.": "A nodule in the lower lobe of the right lung.",
    "Scars in the middle and lower lobes.": "Scars in the middle and upper lobes.",
    "Atelectasis in the left lingula.": "Atelectasis in the left laterobasal segment.",
}
NO_LOBES = (
    "The upper abdominal organs are normal.",
    "Lower paratracheal lymph nodes are enlarged.",
    "Wall thickening of the lower esophagus.",
    "A stone in the lower zone of the right kidney.",
    "Emphysema in the upper and lower lobes.",
    "Both lungs are clear.",
)
FINDINGS = {
    "A nodule is seen.": "A consolidation is seen.",
    "An area of consolidation in the right lung.": "A nodular density in the right lung.",
    "There is emphysema in both lungs.": "There is atelectasis in both lungs.",
    "Emphysematous changes are seen.": "Atelectatic changes are seen.",
    "Bilateral pleural effusion.": "Bilateral pericardial effusion.",
    "Ground-glass opacities in both lungs.": "Mosaic-attenuations in both lungs.",
    "Calcified plaques in the coronary arteries.": "Calcified plaques in the thoracic aorta.",
}
NO_FINDINGS = (
    "A consolidation with a nodule inside.",
    "No pleural or pericardial effusion.",
    "The pleural surfaces are smooth.",
    "Plaques in the aorta and coronary arteries.",
    "The trachea is in the midline.",
)


@pytest.mark.parametrize(("text", "other"), SIDES.items())
def test_sides_change_with_all_their_forms_and_twice_is_not_at_all(text: str, other: str) -> None:
    assert swap_sides(text) == other
    assert swap_sides(other) == text


@pytest.mark.parametrize("text", NO_SIDES)
def test_what_only_looks_like_a_side_or_has_no_other_is_left_alone(text: str) -> None:
    assert swap_sides(text) is None


@pytest.mark.parametrize(("text", "other"), LOBES.items())
def test_lobes_change_with_their_segments(text: str, other: str) -> None:
    assert swap_lobes(text) == other
    if not re.search(r"lingula\b|middle lobe of", text):  # these become another lobe one way only
        assert swap_lobes(other) == text


@pytest.mark.parametrize("text", NO_LOBES)
def test_other_things_that_are_upper_and_lower_are_left_alone(text: str) -> None:
    assert swap_lobes(text) is None


@pytest.mark.parametrize(("text", "other"), FINDINGS.items())
def test_findings_change_with_number_and_article(text: str, other: str) -> None:
    found = swap_findings(text)
    assert found is not None
    assert found[0] == other
    back = swap_findings(other)
    assert back is not None
    assert back[0] == text


@pytest.mark.parametrize("text", NO_FINDINGS)
def test_findings_that_are_named_together_are_left_alone(text: str) -> None:
    assert swap_findings(text) is None


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("A nodule is seen in the left lung.", "A nodule is observed in the left lung."),
        ("There is a nodule in the left lung.", "A nodule is seen in the left lung."),
        ("There are two nodules on the right.", "Two nodules are seen on the right."),
        ("The right lobe contains emphysema.", "The right lobe shows emphysema."),
        ("No effusion was detected.", "No effusion was seen."),
        ("There is no effusion on the right.", None),
        ("Cardiomegaly.", None),
    ],
)
def test_paraphrases_say_the_same(text: str, other: str | None) -> None:
    assert paraphrase(text) == other


@pytest.fixture(scope="module")
def real_sentences(real_data: Path) -> list[str]:
    """A twentieth of the distinct sentences of the real validation reports."""
    reports = pl.read_csv(real_data / "ctrate/validation_reports.csv")["Findings_EN"].fill_null("")
    return sorted({sentence for text in reports for sentence in sentences(text)})[::20]


@pytest.mark.parametrize(
    ("swap", "words", "least"), [(swap_sides, r"left|right", 80), (swap_lobes, r"upper|lower|middle", 60)]
)
def test_real_sentences_turned_twice_are_themselves(
    real_sentences: list[str], swap: Callable[[str], str | None], words: str, least: int
) -> None:
    turned = {text: other for text in real_sentences if (other := swap(text))}
    assert least < len(turned) < len(real_sentences) / 3
    for text, other in turned.items():
        assert other != text
        if not re.search(r"lingula\b|middle lobe", text):
            assert swap(other) == text
        if swap is swap_sides:
            assert re.sub(words, "", other, flags=re.IGNORECASE) == re.sub(
                words, "", text, flags=re.IGNORECASE
            )
