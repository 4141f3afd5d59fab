"""What the tables of a small cohort say, counted by hand."""

from pathlib import Path

import polars as pl
import pytest

from simcrop.data.quality.facts import (
    LabelCount,
    duplicates,
    label_counts,
    patients_in_two_splits,
    refusals,
    reports,
    without_places,
)
from simcrop.data.reports.heads import NO_HEAD
from simcrop.data.store.cohort import Cohort

INDEX = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e"],
        "patient": ["p", "p", "q", "r", "r"],
        "split": ["train", "train", "valid", "train", "valid"],
        "checksum": ["1", "2", "1", "3", "4"],
        "findings": ["Clear lungs. No effusion.", "", "Not given.", None, "  "],
        "impression": ["Normal.", "Normal study.", "", "", "\n"],
        "sentences": [2, 0, 0, 0, 0],
        "label:Nodule": [1, 0, None, 0, None],
        "label:Effusion": [1, 1, 1, 1, 0],
        "label:Unknown": pl.Series([None] * 5, dtype=pl.Int8),
    }
)
LEDGER = pl.DataFrame(
    {
        "id": ["a", "b", "torn", "lost", "gap", "empty"],
        "path": ["/x/a", "/x/b", "/x/torn", None, "/x/Jane Doe/gap", "/x/empty"],
        "status": ["taken", "taken", *["refused"] * 4],
        "reason": ["", "", "truncated-file", "no-volume", "truncated-file", "empty-file"],
        "sentence": [
            "",
            f"HU; {NO_HEAD}; x",
            "/x/torn: ends early",
            "no such scan",
            "/x/Jane Doe/gap: ends",
            "no bytes",
        ],
    }
)


@pytest.fixture
def cohort() -> Cohort:
    return Cohort(Path("nowhere"), (1.5, 1.5, 3.0), (-1000.0, 1000.0), INDEX, LEDGER)


def test_refusals_are_counted_by_reason_with_their_first_as_example(cohort: Cohort) -> None:
    found = [(r.reason, r.count, r.id, r.sentence) for r in refusals(cohort)]
    assert found[0] == ("truncated-file", 2, "torn", "ends early")
    assert sorted(found[1:]) == [
        ("empty-file", 1, "empty", "no bytes"),
        ("no-volume", 1, "lost", "no such scan"),
    ]


@pytest.mark.parametrize(
    ("sentence", "path", "left"),
    [
        ("/in/Jane Doe/ct.nii: it ends", "/in/Jane Doe/ct.nii", "it ends"),
        ("in/ct.nii: in/b/ct.nii has the same name", "in/ct.nii", "(a file) has the same name"),
        ("/in/s: the pixels of Doe_Jane_1.dcm are cut", "/in/s", "the pixels of (a file) are cut"),
        (
            "reports.csv names 'ct7', which is no one scan",
            None,
            "reports.csv names 'ct7', which is no one scan",
        ),
        ("20 mm between slices 7 and 5, expected 2.5", None, "20 mm between slices 7 and 5, expected 2.5"),
        (r"C:\scans\Jane.nii.gz is empty", None, "(a file) is empty"),
    ],
)
def test_sentence_loses_its_files_and_nothing_else(sentence: str, path: str | None, left: str) -> None:
    assert without_places(sentence, path) == left


def test_same_voxels_are_found_with_patients_counted_and_splits_named(cohort: Cohort) -> None:
    (group,) = duplicates(cohort)
    assert (group.ids, group.patients, group.splits) == (("a", "c"), 2, ("train", "valid"))
    assert group.sentence == "2 patients, in train and valid"


def test_patients_on_two_sides_are_counted(cohort: Cohort) -> None:
    assert patients_in_two_splits(cohort) == 1


def test_report_lengths_and_missing_halves(cohort: Cohort) -> None:
    found = reports(cohort)
    assert found.words.tolist() == [5, 2, 2, 0, 0]
    assert found.sentences.tolist() == [2, 0, 0, 0, 0]
    assert found.empty == ("d", "e")
    assert found.unsplit == ("b", "c")
    assert found.without_scan == ("lost",)
    assert found.headless == ("b",)


def test_labels_are_counted_where_they_are_known(cohort: Cohort) -> None:
    assert label_counts(cohort) == [
        LabelCount("Effusion", 4, 5),
        LabelCount("Nodule", 1, 3),
        LabelCount("Unknown", 0, 0),
    ]
