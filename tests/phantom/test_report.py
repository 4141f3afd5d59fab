"""Reports: what they say is there, in one order, with words that recur as they do in real ones."""

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from simcrop.data.report import sentences
from simcrop.phantom.findings.finding import LABELS, Finding
from simcrop.phantom.findings.kinds import draw_findings, draw_kinds
from simcrop.phantom.grid import Difficulty
from simcrop.phantom.patient import draw_patient
from simcrop.phantom.reporting.chest import LOWER_SLOTS, MIDDLE_SLOTS
from simcrop.phantom.reporting.impressions import BILATERAL, IMPRESSIONS, SEVERAL
from simcrop.phantom.reporting.lungs import CLEAR_LUNGS, LUNG_SLOTS, PLEURA_SLOTS
from simcrop.phantom.reporting.report import PhantomReport, write_report
from simcrop.phantom.reporting.wording import Slot, expand, fill, found_wording

SLOTS = (*MIDDLE_SLOTS, *LUNG_SLOTS, *PLEURA_SLOTS, *LOWER_SLOTS)
Written = list[tuple[tuple[Finding, ...], PhantomReport]]


def written(difficulty: Difficulty) -> Written:
    """200 reports on findings in one and the same chest; every third scan has contrast."""
    anatomy, reports = draw_patient(21, 1, difficulty).anatomy, []
    for number in range(200):
        rng = np.random.default_rng(number)
        findings = draw_findings(rng, anatomy, draw_kinds(rng, difficulty), difficulty)
        reports.append((findings, write_report(findings, number % 3 == 0, rng)))
    return reports


@pytest.fixture(scope="module")
def easy() -> Written:
    return written("easy")


@pytest.fixture(scope="module")
def real() -> Written:
    return written("real")


def forms(slot: Slot) -> Iterator[tuple[str, str]]:
    """Every wording of a slot with the form it is in."""
    for form in ("found", "several", "both", "stock"):
        for wording in getattr(slot, form):
            yield form, wording


def made_up(slot: Slot, form: str) -> Finding:
    side = "both" if form == "both" else "left"
    count = 3 if form == "several" else 1
    return Finding(slot.kind or "", side, "upper", 17, (), place="solid", count=count)


def test_every_wording_is_one_whole_sentence_in_every_form() -> None:
    rng = np.random.default_rng(0)
    for slot in SLOTS:
        for form, wording in forms(slot):
            for _ in range(5):
                text = fill(expand(wording, rng), made_up(slot, form))
                assert text.endswith(".")
                assert text.count(".") == 1, text
                assert sentences(text) == [text]
                assert text[0].isupper()
                assert not re.search(r"  |None", text), text
                assert not set("[]{}|") & set(text), text


def test_every_lobar_wording_names_side_and_lobe() -> None:
    rng = np.random.default_rng(1)
    for slot in LUNG_SLOTS:
        for form, wording in forms(slot):
            if form == "stock":
                continue
            text = fill(expand(wording, rng), made_up(slot, form)).lower()
            assert "upper lobe" in text
            assert ("both" in text) == (form == "both")
            assert ("left" in text) == (form != "both")
            assert "right" not in text


def test_every_kind_has_a_slot_a_conclusion_and_a_wording_without_a_size() -> None:
    assert {slot.kind for slot in SLOTS if slot.found} == set(LABELS) == set(IMPRESSIONS)
    assert set(BILATERAL) == {slot.kind for slot in SLOTS if slot.both}
    assert set(SEVERAL) == {slot.kind for slot in SLOTS if slot.several}
    for slot in SLOTS:
        for group in (slot.found, slot.several, slot.both):
            assert not group or any("{size}" not in wording for wording in group)
            assert len(group) != 1


@pytest.mark.parametrize("cohort", ["easy", "real"])
def test_reports_have_12_to_20_sentences_that_split_again(
    cohort: str, request: pytest.FixtureRequest
) -> None:
    lengths = set()
    for _, report in request.getfixturevalue(cohort):
        texts = [sentence.text for sentence in report.sentences]
        assert sentences(report.findings) == texts
        lengths.add(len(texts))
        assert re.fullmatch(r"([A-Z][^.]*\. ?)+", report.impression)
        assert "None" not in report.impression
    assert lengths <= set(range(12, 21))
    assert len(lengths) >= 7


@pytest.mark.parametrize("cohort", ["easy", "real"])
def test_sentences_recur_as_often_as_in_real_reports(cohort: str, request: pytest.FixtureRequest) -> None:
    texts = Counter(s.text for _, report in request.getfixturevalue(cohort) for s in report.sentences)
    recurring = sum(count for count in texts.values() if count >= 5) / texts.total()
    assert 0.35 < recurring < 0.55


@pytest.mark.parametrize("cohort", ["easy", "real"])
def test_what_is_there_is_said_once_and_never_denied(cohort: str, request: pytest.FixtureRequest) -> None:
    for findings, report in request.getfixturevalue(cohort):
        stated = [sentence.finding for sentence in report.sentences if sentence.finding]
        assert sorted(f.mask_value for f in stated) == [f.mask_value for f in findings]
        denied = {sentence.kind for sentence in report.sentences if sentence.negated}
        assert not denied & {finding.kind for finding in findings}
        assert all(s.kind is None for s in report.sentences if not s.finding and not s.negated)


def test_the_order_is_that_of_looking(real: Written) -> None:
    order = [slot.kind for slot in SLOTS if slot.kind]
    for _, report in real:
        places = [order.index(s.kind) for s in report.sentences if s.kind]
        assert places == sorted(places)


def test_sides_lobes_counts_and_sizes_in_the_text_are_those_of_the_finding(real: Written) -> None:
    seen = Counter()
    for _, report in real:
        for sentence in report.sentences:
            finding, text = sentence.finding, sentence.text.lower()
            if finding is None:
                continue
            for side in ("left", "right"):
                assert (side in text) == (finding.side == side), text
            for lobe in ("upper", "middle", "lower"):
                if finding.kind != "Pleural effusion":
                    assert (f"{lobe} lobe" in text) == (finding.lobe == lobe), text
            numbers = re.findall(r"\d+", text)
            assert numbers in ([], [str(finding.size_mm)]), text
            assert ("two " in text) == (finding.count == 2), text
            seen["sized"] += len(numbers)
            seen["sizable"] += finding.size_mm is not None
    assert 0.3 < seen["sized"] / seen["sizable"] < 0.65


def test_easy_reports_seldom_name_a_size(easy: Written) -> None:
    found = [s.text for _, report in easy for s in report.sentences if s.finding]
    assert 0 < sum(any(c.isdigit() for c in text) for text in found) / len(found) < 0.1


def test_a_healthy_chest_is_said_to_be_healthy(real: Written) -> None:
    healthy = [report for findings, report in real if not findings]
    assert healthy
    for report in healthy:
        text = report.findings
        assert report.impression in (
            "No pathology is found in the chest.",
            "Findings within normal limits.",
            "Not given.",
        )
        assert {s.kind for s in report.sentences} >= {
            "Cardiomegaly",
            "Pericardial effusion",
            "Pleural effusion",
        }
        assert sum(word in text for word in ("infiltrate", "parenchyma", "no lesion is found")) >= 1
    assert CLEAR_LUNGS[0] in " ".join(report.findings for report in healthy)


def test_a_scan_with_contrast_is_not_called_unenhanced(real: Written) -> None:
    enhanced = {True: "", False: ""}
    for number, (_, report) in enumerate(real):
        enhanced[number % 3 == 0] += report.findings + report.technique
    for word in ("unenhanced", "without contrast", "no contrast material"):
        assert word not in enhanced[True]
        assert word in enhanced[False]


def test_a_wording_with_a_size_is_not_used_where_none_is_named() -> None:
    slot = next(slot for slot in LUNG_SLOTS if slot.kind == "Lung nodule")
    rng = np.random.default_rng(3)
    silent = Finding("Lung nodule", "left", "upper", 17, (), place="solid", sized=False)
    loud = Finding("Lung nodule", "left", "upper", 17, (), place="solid")
    assert not any("17" in found_wording(slot, silent, rng) for _ in range(60))
    assert any("17" in found_wording(slot, loud, rng) for _ in range(60))


def test_the_same_patient_gets_the_same_words() -> None:
    patient = draw_patient(21, 5)
    assert write_report(patient.findings, False, patient.words()) == write_report(
        patient.findings, False, patient.words()
    )
    other = draw_patient(22, 5)
    assert (
        write_report((), False, patient.words()).findings != write_report((), False, other.words()).findings
    )
