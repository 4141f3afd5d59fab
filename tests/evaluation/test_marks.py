"""Marks of sentences: by hand on 300 sentences, a third of which the rules were not tuned on; on real reports and on
phantoms beside what their labels say.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from simcrop.data.report import sentences
from simcrop.evaluation.wording.claims import kinds_of
from simcrop.evaluation.wording.marks import MARKS, MEANS, clauses, mark_of, undenied

BY_HAND = Path(__file__).with_name("marked_sentences.csv")


def by_hand(part: str) -> list[tuple[str, str]]:
    """Sentences and the marks that they should have."""
    with BY_HAND.open(newline="") as file:
        return [(row["sentence"], row["mark"]) for row in csv.DictReader(file) if row["part"] == part]


def precision_and_recall(rows: list[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    found = {}
    for mark in MARKS:
        right = sum(mark == should == mark_of(text) for text, should in rows)
        said, there = (
            sum(mark_of(text) == mark for text, _ in rows),
            sum(should == mark for _, should in rows),
        )
        found[mark] = right / said, right / there
    return found


@pytest.mark.parametrize(("part", "count", "least"), [("tuned", 200, 0.99), ("held out", 100, 0.95)])
def test_sentences_marked_by_hand_get_their_mark(part: str, count: int, least: float) -> None:
    rows = by_hand(part)
    assert len(rows) == len(dict(rows)) == count
    for mark, (precision, recall) in precision_and_recall(rows).items():
        print(f"{part}, {mark}: precision {precision:.3f}, recall {recall:.3f}")  # noqa: T201
        assert min(precision, recall) >= least, mark


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("There is a nodule but no effusion.", "affirmed"),
        ("No effusion, but there is a nodule.", "affirmed"),
        ("A nodule without calcification is seen.", "affirmed"),
        ("Pneumonia cannot be excluded.", "affirmed"),
        ("Pneumonia was excluded.", "denied"),
        ("No change in the nodule.", "affirmed"),
        ("No significant change in the size of the nodule.", "affirmed"),
        ("There is no emphysematous change in the lungs.", "denied"),
        ("No fibrotic or cystic changes in either lung.", "denied"),
        ("No nodule.", "denied"),
        ("The effusion is no longer seen.", "denied"),
        ("Lymph nodes are not enlarged.", "denied"),
        ("Enlarged lymph nodes.", "affirmed"),
        ("No effusion is seen, the heart is enlarged.", "affirmed"),
        ("The heart is normal and no effusion is seen.", "denied"),
        ("Contrast was not given.", "normal"),
        ("In the left lung (image no. 45) a 5 mm nodule is seen.", "affirmed"),
        ("Section No: 79/192, right lower lobe, a nodule.", "affirmed"),
        ("In the right lower lobe, series 3 image no 45, a nodule of 5 mm.", "affirmed"),
        ("There is no 5 mm nodule.", "denied"),
        ("New nodule not seen previously.", "affirmed"),
        ("A nodule which was not seen before is present.", "affirmed"),
        ("A nodule, not previously present, is noted.", "affirmed"),
        ("A nodule is not seen before the fissure.", "denied"),
        ("No increase in the size of the nodule.", "affirmed"),
        ("No significant decrease was seen in the number of pulmonary nodules.", "affirmed"),
        ("No increase in the size of the lymph nodes.", "denied"),
        ("No growth of the nodule.", "affirmed"),
        ("No enlargement of the heart.", "denied"),
        ("No decrease in effusion.", "affirmed"),
        ("No significant increase in the nodule size.", "affirmed"),
        ("No acute fracture, old rib fractures.", "affirmed"),
        ("No effusion, chronic fracture or mass.", "denied"),
        ("As in the previous examination, minimal regression was detected.", "normal"),
        ("Absent effusion.", "denied"),
        ("Absent left kidney.", "normal"),
        ("Resolved pneumonia.", "denied"),
        ("Not resolved pneumonia.", "affirmed"),
        ("The effusion of the previous examination has completely regressed.", "denied"),
        ("The effusion has regressed.", "affirmed"),
        ("The consolidation is not fully regressed.", "affirmed"),
        ("There isn't any effusion.", "denied"),
        ("The nodule isn’t visible.", "denied"),
        ("Nil effusion.", "denied"),
        ("The liver.", "normal"),
        ("", "normal"),
    ],
)
def test_what_is_affirmed_anywhere_outweighs_what_is_denied_and_that_what_is_normal(
    text: str, mark: str
) -> None:
    assert mark_of(text) == mark
    assert mark_of(text.upper()) == mark


def test_a_negation_takes_away_what_it_denies_and_no_more() -> None:
    assert undenied("Effusion is not seen on the right, and the left lung has nodules.").split() == (
        ["the", "left", "lung", "has", "nodules."]
    )
    assert undenied("Nodules, none of them large.").strip() == "Nodules,"
    assert clauses("No effusion; there is a mass, but no node.") == [
        "No effusion",
        "there is a mass",
        "no node.",
    ]
    assert set(MEANS) == set(MARKS)


def test_the_1564_real_reports_affirm_what_their_labels_say_is_there_and_deny_what_is_not(
    real_data: Path,
) -> None:
    """The labels were made of other words of the same reports, by a model; they too are wrong at times."""
    reports = pl.read_csv(real_data / "ctrate/validation_reports.csv")
    scan = pl.col("VolumeName").str.replace(r"_\d+\.nii\.gz$", "")
    reports = reports.with_columns(scan.alias("scan")).unique("scan", keep="first", maintain_order=True)
    assert reports.height == 1564
    labels = {
        row["VolumeName"]: row
        for row in pl.read_csv(real_data / "ctrate/valid_predicted_labels.csv").to_dicts()
    }
    marks, said = Counter[str](), Counter[tuple[str, int]]()
    for name, findings in reports.select("VolumeName", "Findings_EN").iter_rows():
        of_kind = defaultdict[str, set[str]](set)
        for text in sentences(findings):
            marks[mark_of(text)] += 1
            for kind in kinds_of(text):
                of_kind[kind].add(mark_of(text))
        for kind, found in of_kind.items():
            if name in labels:
                said[next(mark for mark in MARKS if mark in found), labels[name][kind]] += 1
    print(dict(marks), dict(said))  # noqa: T201
    share = {mark: marks[mark] / marks.total() for mark in MARKS}
    assert min(share.values()) > 0.2, "every report affirms, denies, and calls much normal"
    there, absent = said["affirmed", 1], said["denied", 0]
    assert there + absent > 8000
    assert there / (there + said["affirmed", 0]) > 0.96
    assert absent / (absent + said["denied", 1]) > 0.97
    assert there / (there + said["denied", 1] + said["normal", 1]) > 0.98
    assert absent / (absent + said["affirmed", 0] + said["normal", 0]) > 0.94


def test_phantom_reports_are_marked_as_they_were_meant(line: Callable) -> None:
    from simcrop.data.store.cohort import open_cohort
    from simcrop.evaluation.asking import text_of
    from simcrop.phantom.truth import read_truth

    truth, seen = read_truth(line.raw), Counter[str]()
    for study in open_cohort(line.cohort):
        for sentence in truth.of(study.id):
            if sentence.shows or sentence.negated:
                mark = "denied" if sentence.negated else "affirmed"
                assert mark_of(text_of(study, sentence)) in (
                    {"denied", "normal"} if sentence.negated else {mark}
                )
                seen[mark] += 1
    assert min(seen.values()) > 10
