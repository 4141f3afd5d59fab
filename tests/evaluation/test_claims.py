"""What sentences claim: what they assert and deny, of which finding, and the same turned round."""

import pytest

from simcrop.evaluation.wording.claims import claim_of, kinds_of, negate
from simcrop.evaluation.wording.perturb import found_in

ASSERT = (
    "There is a nodule in the left upper lobe.",
    "The heart is enlarged.",
    "The heart is larger than normal.",
    "Atelectatic changes are observed in the lower lobe.",
    "When examined in the lung parenchyma window; mosaic attenuation is observed.",
    "Bilateral pleural effusion.",
    "In the left lung (image no. 45) a 5 mm nodule is seen.",
    "In the right lower lobe, section no 79, a nodule is seen.",
    "The transverse diameter of the heart is above normal limits.",
    "Calcified plaques are present along the wall of the thoracic aorta.",
)
DENY = (
    "No pleural effusion was detected.",
    "There is no consolidation in the lungs.",
    "Pericardial effusion-thickening was not observed.",
    "Mediastinal lymph nodes are not enlarged.",
    "Bilateral adrenal glands were normal and no space-occupying lesion was detected.",
    "No nodule is seen and no infiltrate is found.",
    "The esophagus is normal without wall thickening.",
    "The lungs are free of nodules.",
    "No mass, nodule or infiltration was detected in both lungs.",
    "There is no 5 mm nodule.",
    "As far as can be seen in this unenhanced scan: no mass was detected.",
    "No enlargement of the lymph nodes.",
    "No effusion, chronic fracture or mass.",
    "The effusion is no longer seen.",
    "Effusion: negative.",
    "Absent effusion.",
    "No nodule is seen; no effusion is seen.",
)
NEITHER = (
    "Trachea and both main bronchi are open.",
    "The heart is of normal size and shape.",
    "Mediastinal structures cannot be evaluated optimally because contrast material is not given.",
    "There is a nodule but no effusion.",
    "A nodule without calcification is seen.",
    "There are lymph nodes that are not pathological in size.",
    "Effusion is not seen on the right, and there are nodules in the left lung.",
    "No significant change in the nodule.",
    "No increase in the size of the nodule.",
    "No growth of the nodule.",
    "No decrease in effusion.",
    "The nodule did not increase in size.",
    "No acute fracture, old rib fractures.",
    "A small nodule; no effusion.",
    "A nodule in the right lung, no effusion.",
    "Pneumonia cannot be excluded.",
    "Further investigation is recommended.",
)
TURNED = {
    "There is a nodule in the left upper lobe.": "There is no nodule in the left upper lobe.",
    "There are two nodules in the right lung.": "There are no nodules in the right lung.",
    "A nodule is seen.": "No nodule is seen.",
    "Emphysematous changes are observed.": "No emphysematous changes are observed.",
    "GGO is seen in both lungs.": "No GGO is seen in both lungs.",
    "The heart is enlarged.": "The heart is not enlarged.",
    "The left lower lobe contains two nodules.": "The left lower lobe contains no nodules.",
    "In the right lung, a nodule is observed.": "In the right lung, a nodule is not observed.",
    "In the lung (section no: 7/19) there is a nodule.": "In the lung (section no: 7/19) there is no nodule.",
    "In the right lung, there is an effusion.": "In the right lung, there is no effusion.",
    "Cardiomegaly.": "No cardiomegaly.",
    "Part of the stomach has passed the hiatus.": "Part of the stomach has not passed the hiatus.",
    "When examined in the lung window; a nodule is seen.": "When examined in the lung window; No nodule is seen.",
    "No pleural effusion was detected.": "Pleural effusion was detected.",
    "There is no pleural effusion.": "There is pleural effusion.",
    "There are no enlarged lymph nodes.": "There are enlarged lymph nodes.",
    "Pleural effusion was not observed.": "Pleural effusion was observed.",
    "The esophagus is normal without wall thickening.": "The esophagus is normal with wall thickening.",
    "No nodule is seen and no infiltrate is found.": "Nodule is seen and infiltrate is found.",
    "The effusion is no longer seen.": "The effusion is still seen.",
}


@pytest.mark.parametrize("text", ASSERT)
def test_what_is_there_is_asserted(text: str) -> None:
    assert claim_of(text) == "asserts"


@pytest.mark.parametrize("text", DENY)
def test_what_is_not_there_is_denied(text: str) -> None:
    assert claim_of(text) == "denies"


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_normal_unclear_or_both_claims_nothing(text: str) -> None:
    assert claim_of(text) is None


@pytest.mark.parametrize(("text", "other"), TURNED.items())
def test_an_assertion_becomes_a_denial_and_a_denial_an_assertion(text: str, other: str) -> None:
    assert negate(text) == other


@pytest.mark.parametrize(
    "text", ["There is a nodule but no effusion.", "Further investigation is recommended."]
)
def test_what_says_both_or_nothing_is_not_turned_round(text: str) -> None:
    assert negate(text) is None


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("A ground glass nodule is seen.", {"Lung nodule"}),
        ("Hazy ground-glass density in both lungs.", {"Lung opacity"}),
        ("Fluid around the heart is seen.", {"Pericardial effusion"}),
        ("Pleural and pericardial effusion.", {"Pleural effusion", "Pericardial effusion"}),
        ("Plaques in the coronary arteries.", {"Coronary artery wall calcification"}),
        ("Calcification of the aortic arch.", {"Arterial wall calcification"}),
        ("A nodule in the thyroid gland.", set()),
        ("The trachea is in the midline.", set()),
    ],
)
def test_findings_are_known_by_their_names(text: str, kinds: set[str]) -> None:
    assert kinds_of(text) == kinds


def test_phantom_reports_are_read_as_they_were_meant(line) -> None:
    """What is drawn is asserted, what is denied is never asserted, and each is known by its name."""
    from simcrop.data.store.cohort import open_cohort
    from simcrop.evaluation.asking import text_of
    from simcrop.phantom.truth import read_truth

    truth, shown = read_truth(line.raw), 0
    for study in open_cohort(line.cohort):
        known = truth.of(study.id)
        for sentence in known:
            text = text_of(study, sentence)
            if sentence.shows:
                shown += 1
                assert (claim_of(text), kinds_of(text)) == ("asserts", {sentence.finding})
            elif sentence.finding is None or sentence.negated:
                assert claim_of(text) != "asserts", text
        texts = [text_of(study, sentence) for sentence in known]
        assert found_in(texts) == {of.finding for of in known if of.finding and not of.negated}
    assert shown > 10
