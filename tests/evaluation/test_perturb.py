"""Reports made wrong: every sentence is changed or counted, and none that stays true."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from simcrop.data.report import sentences
from simcrop.evaluation.wording.perturb import (
    ALSO_TRUE,
    NO_RULE,
    PERTURBATIONS,
    covered,
    perturb,
    shuffle,
)

REPORT = (
    "The trachea is in the midline.",
    "A nodule is seen in the left upper lobe.",
    "There is emphysema in both lungs.",
    "No pleural effusion was detected.",
)


def test_every_claim_is_changed_or_counted() -> None:
    changed = {of.number: of for of in perturb(REPORT)}
    assert set(changed) == {1, 2, 3}
    for of in changed.values():
        fitting = {name for name, perturbation in PERTURBATIONS.items() if perturbation.claim == of.claim}
        assert set(of.texts) | set(of.left_out) == fitting
        assert not set(of.texts) & set(of.left_out)
    nodule, emphysema, effusion = changed[1], changed[2], changed[3]
    assert (nodule.kind, emphysema.kind, effusion.claim) == ("Lung nodule", "Emphysema", "denies")
    assert nodule.texts["side"] == "A nodule is seen in the right upper lobe."
    assert nodule.texts["finding"] == "A consolidation is seen in the left upper lobe."
    assert emphysema.left_out["side"] == emphysema.left_out["lobe"] == NO_RULE
    assert effusion.texts == {"asserted": "Pleural effusion was detected."}


def test_what_stays_true_is_left_out() -> None:
    there = (
        *REPORT,
        "There is a nodule in the right upper lobe.",
        "Atelectasis is seen in the left lower lobe.",
    )
    changed = {of.number: of for of in perturb(there, {"Consolidation": 1})}
    assert changed[1].left_out == {"side": ALSO_TRUE, "finding": ALSO_TRUE}
    assert changed[2].left_out["finding"] == ALSO_TRUE
    assert "lobe" in changed[1].texts
    assert "finding" in {of.number: of for of in perturb(REPORT, {"Consolidation": 0})}[1].texts


@pytest.mark.parametrize(
    ("text", "report", "says"),
    [
        ("A nodule on the right.", ["A nodule in the right upper lobe."], True),
        ("A nodule on the right.", ["A nodule in the left upper lobe."], False),
        ("A nodule on the right.", ["Nodules in both lungs."], True),
        ("A nodule on the right.", ["Several nodules."], True),
        ("A nodule on the right.", ["No nodule is seen."], False),
        ("A nodule on the right.", ["Emphysema on the right."], False),
        ("A nodule in the right lower lobe.", ["A nodule in the right upper lobe."], False),
    ],
)
def test_a_report_says_so_where_it_names_the_finding_there_or_nowhere(
    text: str, report: list[str], says: bool
) -> None:
    assert covered(text, report) == says


def test_shuffled_words_are_the_same_words_always_in_the_same_other_order() -> None:
    text = "A nodule is seen in the left upper lobe."
    other = shuffle(text)
    assert other is not None
    assert other != text
    assert other == shuffle(text)
    assert other.endswith(".")
    assert sorted(other[:-1].split()) == sorted(text[:-1].split())
    assert shuffle("Cardiomegaly.") is None
    assert shuffle("no no no no") is None


def test_real_reports_are_changed_and_nothing_is_dropped(real_data: Path) -> None:
    """Of a hundredth of the real validation reports; each change is another sentence."""
    texts = pl.read_csv(real_data / "ctrate/validation_reports.csv")["Findings_EN"].fill_null("")[::100]
    counts = Counter[str]()
    for text in texts:
        report = sentences(text)
        for of in perturb(report):
            counts[of.claim] += 1
            assert report[of.number] == of.text
            for name, made in of.texts.items():
                counts[name] += 1
                assert (made == of.text) == (name == "unchanged"), name
            counts["left out"] += len(of.left_out)
    fitting = 7 * counts["asserts"] + counts["denies"]
    assert sum(counts[name] for name in (*PERTURBATIONS, "left out")) == fitting
    assert counts["asserted"] > 0.9 * counts["denies"] > 50
    for name, share in {"paraphrase": 0.5, "side": 0.1, "lobe": 0.1, "finding": 0.15, "denied": 0.9}.items():
        assert counts[name] > share * counts["asserts"] > 10, name
