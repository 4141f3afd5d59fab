"""Sentences and report files: hard cases written for it, properties, and real reports."""

import csv
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simcrop.data.report import Report, read_report_file, sentences
from simcrop.data.stated_size import stated_size_mm
from simcrop.errors import SimcropError

CASES = json.loads((Path(__file__).parent / "report_cases.json").read_text(encoding="utf-8"))
WORDS = (
    *(
        "The",
        "heart",
        "is",
        "normal",
        "Dr",
        "approx",
        "e.g",
        "lab",
        "mm",
        "T12",
        "4.5",
        "3",
        "12.03.2021",
        "No",
    ),
    *".?!;:,()\"'-•·\n …“”[]*",
    *("  ", "\t", "\r\n", ". ", ".The ", '" ', "1. ", "2) ", "\n- ", "?) ", "...", "\x1e", "\u2028"),
)
REPORT_LIKE = st.lists(st.sampled_from(WORDS), max_size=40).map("".join)


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_hard_case_is_split_as_written(case: dict[str, object]) -> None:
    assert sentences(str(case["text"])) == case["sentences"]


def test_there_are_at_least_a_hundred_different_hard_cases() -> None:
    assert len({case["text"] for case in CASES}) >= 100
    assert len({case["why"] for case in CASES}) == len(CASES)


def test_garbled_text_is_split_in_no_time() -> None:
    """Every mark is decided by its neighbourhood, so a file of marks does not take minutes."""
    for garbled in (
        "e.g. " * 8_000,
        "1. " * 12_000,
        "a\n" * 20_000,
        "(" * 40_000,
        " " * 40_000 + ". b",
        "z. B. " * 12_000,
        "(a. b.) " * 12_000,
    ):
        start = process_time()
        sentences(garbled)
        assert process_time() - start < 3


def test_no_text_has_no_sentences() -> None:
    assert sentences(None) == []


@settings(deadline=None)
@given(REPORT_LIKE | st.text(max_size=80))
def test_no_letter_is_lost_or_moved(text: str) -> None:
    kept = sentences(text)
    dropped = re.search(r"not\W*(given|available|provided)|n\W*/?\W*a", text, re.IGNORECASE)
    if not dropped:
        assert letters("".join(kept)) == letters(text)
    for sentence in kept:
        assert letters(sentence)
        assert sentence == " ".join(sentence.split())


ABBREVIATED = (
    "The heart No. 3 and 4 M. tuberculosis St. Jude Sept. 12, 2019 b.i.d. for R. Upper lobe 4.5 mm. T12. L1-L2 Dr."
    " [**Name**] ___ <NAME> vitamin D. No effusion hepatitis C. grade I. 12. 45 2019. w. wires p.m. Nodule"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(ABBREVIATED.split()), max_size=30).map(" ".join))
def test_no_word_or_number_is_lost_or_moved(text: str) -> None:
    """ "12. 45" could be the number of a list, so a letter stands before each number here. A blot (___) is no word."""
    text = "x " + re.sub(r"(?<![A-Za-z])(\d)", r"x\1", text)
    assert re.findall(r"[^\W_]+", " ".join(sentences(text))) == re.findall(r"[^\W_]+", text)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["The heart is large.", "12.", "45", "3.5", "No node", "2019."]), max_size=12)
)
def test_a_piece_of_digits_is_never_dropped(pieces: list[str]) -> None:
    text = "No mass is seen. " + ", ".join(pieces)
    assert re.findall(r"\d+", " ".join(sentences(text))) == re.findall(r"\d+", text)


@settings(deadline=None)
@example("heart\nheart\nheart")
@given(REPORT_LIKE)
def test_two_paragraphs_are_split_as_each_alone(text: str) -> None:
    """Neighbours do not change a paragraph that no bracket, list or quote ties to the next."""
    if not re.search(r"[()\[\]\"“”\d]", text):
        assert sentences(f"{text}\n\nBoth lungs.") == [*sentences(text), "Both lungs."]


@pytest.fixture(scope="module")
def real_reports(real_data: Path) -> list[str]:
    """Each different Findings text of the CT-RATE validation set, and 800 whole training reports."""
    texts: dict[str, None] = {}
    for name, column in (
        ("validation_reports.csv", "Findings_EN"),
        ("text_classifier_train.csv", "report_text"),
    ):
        with (real_data / "ctrate" / name).open(encoding="utf-8", newline="") as file:
            texts.update(dict.fromkeys(row[column] for row in csv.DictReader(file)))
    return list(texts)


@pytest.fixture(scope="module")
def real_sentences(real_reports: list[str]) -> list[list[str]]:
    return [sentences(text) for text in real_reports]


def test_real_reports_split_into_a_sensible_number_of_sentences(real_sentences: list[list[str]]) -> None:
    counts = [len(report) for report in real_sentences]
    assert len(counts) >= 2200
    assert min(counts) >= 2
    assert max(counts) <= 90  # the longest real report has 79
    assert 12 <= median(counts) <= 20


def test_real_sentences_are_never_empty_nor_too_long(real_sentences: list[list[str]]) -> None:
    lengths = [len(sentence.split()) for report in real_sentences for sentence in report]
    assert min(lengths) >= 1
    assert max(lengths) <= 120  # 119: one sentence that lists a dozen nodules
    assert 9 <= median(lengths) <= 13


def test_labelled_real_reports_are_split_as_they_were_when_read_by_eye(
    real_data: Path, real_reports: list[str], real_sentences: list[list[str]]
) -> None:
    """Sentence by sentence, by a mark of each report; the shortest and longest of these splits were looked at."""
    expected = json.loads(Path(__file__).with_name("real_report_splits.json").read_text())
    with (real_data / "ctrate/text_classifier_train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["report_text"] for row in csv.DictReader(file)]
    splits = dict(zip(real_reports, real_sentences, strict=True))
    split = [splits[text] for text in texts]
    marks = [hashlib.sha256("\n".join(report).encode()).hexdigest()[-6:] for report in split]
    assert len(split) == len(expected["marks"]) == 800
    differ = [
        i
        for i, report in enumerate(split)
        if (len(report), marks[i]) != (expected["sentences"][i], expected["marks"][i])
    ]
    assert differ == []


def test_no_real_sentence_ends_inside_a_decimal(
    real_reports: list[str], real_sentences: list[list[str]]
) -> None:
    for number, (text, report) in enumerate(zip(real_reports, real_sentences, strict=True)):
        for before, after in pairwise(report):
            between_digits = re.search(r"\d[.,]$", before) and after[0].isdigit()
            assert not between_digits or before[-12:] + after[:12] not in text, number


def test_no_letter_or_digit_of_a_real_report_is_lost(
    real_reports: list[str], real_sentences: list[list[str]]
) -> None:
    for number, (text, report) in enumerate(zip(real_reports, real_sentences, strict=True)):
        assert [c for c in text if c.isalnum()] == [c for c in "".join(report) if c.isalnum()], number


def test_report_text_leaves_out_a_part_that_was_not_given() -> None:
    assert Report("Clear  lungs.\nLarge heart.", "Not given.").text == "Clear lungs. Large heart."
    assert Report("Clear lungs.", "Large heart.").text == "Clear lungs. Large heart."
    assert Report("not given", "").text == ""


def test_report_sentences_come_from_the_findings_only() -> None:
    assert Report("Clear lungs. No node.", "Large heart.").sentences == ["Clear lungs.", "No node."]


@pytest.mark.parametrize(
    ("content", "findings", "impression"),
    [
        ("Clear lungs. No node.", "Clear lungs. No node.", ""),
        ("Findings: Clear lungs.\nImpression: Normal.", "Clear lungs.", "Normal."),
        ("FINDINGS\nClear lungs.\n\nIMPRESSIONS\nNormal.\n", "Clear lungs.", "Normal."),
        ("findings : Clear lungs. Impression: Normal.", "Clear lungs.", "Normal."),
        ("Clear lungs.\r\nCONCLUSION:\r\nNormal.", "Clear lungs.", "Normal."),
        ("Technique: helical.\nFindings: Clear lungs.", "Clear lungs.", ""),
        (
            "Findings: Clear lungs.\nImpression: Normal.\nFindings: No node.",
            "Clear lungs.\nNo node.",
            "Normal.",
        ),
        ("Findings consistent with pneumonia.", "Findings consistent with pneumonia.", ""),
        ("\ufeffFindings: Şüpheli nodül yok.", "Şüpheli nodül yok.", ""),
        ("Impression: Normal.", "", "Normal."),
    ],
)
def test_report_file_is_cut_at_its_heads(
    tmp_path: Path, content: str, findings: str, impression: str
) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(content.encode("utf-8"))
    assert read_report_file(path) == Report(findings, impression)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing-file"),
        (b"", "empty-file"),
        (b" \n\t ", "empty-file"),
        (b"\xff\xfe\x00F", "not-text"),
        ("Göğüs".encode("cp1254"), "not-text"),
        (b"Clear\x00lungs", "not-text"),
        (b"%PDF-1.7 and so on", "not-text"),
        (rb"{\rtf1 Clear lungs.}", "not-text"),
        (b"Clear lungs. " * 100_000, "not-text"),
        (b"Findings: Not given.\nImpression: -\n", "empty-report"),
        (b"12.5 / 13.0", "empty-report"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "report.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SimcropError) as refused:
        read_report_file(path)
    assert refused.value.reason == reason
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "lungs" not in str(refused.value)


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(SimcropError) as refused:
        read_report_file(tmp_path)
    assert refused.value.reason == "missing-file"


@pytest.mark.parametrize(
    ("sentence", "mm"),
    [
        ("A nodule of 8 mm is seen.", 8),
        ("A mass measuring 1.5 x 2,3 cm.", 23),
        ("Nodules of 12x8 mm and 3 cm.", 30),
        ("Densities up to 5mm in T4 and L1, image 120.", 5),
        ("The main pulmonary artery is 29 Mm wide.", 29),
        ("There are 3 nodules.", None),
        ("An area of 4 mmHg.", None),
        ("", None),
    ],
)
def test_the_largest_length_that_a_sentence_states(sentence: str, mm: float | None) -> None:
    assert stated_size_mm(sentence) == mm


def test_lengths_of_real_sentences_are_those_of_a_chest(real_sentences: list[list[str]]) -> None:
    sizes = [stated_size_mm(sentence) for report in real_sentences for sentence in report]
    stated = [size for size in sizes if size is not None]
    assert 0.02 < len(stated) / len(sizes) < 0.2
    assert 5 <= median(stated) <= 40
