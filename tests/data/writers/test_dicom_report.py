"""What the report in DICOM says of a sentence's claim, read back by highdicom and by pydicom alone.

No axes but of the toy's map, `(x, y, z)`.
"""

import io
from collections.abc import Iterator
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest

from simcrop.data.volume import Volume
from simcrop.data.writers.dicom_ground import Sought, dicom_results
from simcrop.data.writers.dicom_report import MARK, MARKED
from simcrop.evaluation.wording.marks import MARKS, mark_of

SENTENCES = {"denied": "No effusion.", "affirmed": "A nodule on the left.", "normal": "The heart is normal."}


@pytest.fixture
def report(toy: Volume, toy_series: list[Any]) -> bytes:
    """Of one sentence of each mark."""
    box = np.array([[-3.0, 1, 2], [3, 5, 7]])
    sought = [
        Sought(sentence, mark, lambda: np.float32(toy.hu), 0.0, 0.5, box)
        for mark, sentence in SENTENCES.items()
    ]
    return dict(dicom_results(sought, toy.affine, toy_series, "0" * 64))["report.sr.dcm"]


def test_the_report_says_of_each_sentence_whether_it_affirms_denies_or_calls_normal(report: bytes) -> None:
    groups = hd.sr.srread(io.BytesIO(report)).content.get_volumetric_roi_measurement_groups()
    said = {group.tracking_identifier: group.get_qualitative_evaluations() for group in groups}
    assert {sentence: [(of.name.value, of.value.value) for of in own] for sentence, own in said.items()} == {
        sentence: [("SENTENCE-MARK", mark.upper())] for mark, sentence in SENTENCES.items()
    }
    assert all(len(group.get_measurements()) > 1 for group in groups)


def test_a_reader_that_knows_no_highdicom_finds_it_as_a_code_of_ours_beside_the_numbers(
    report: bytes,
) -> None:
    """A code of DICOM's for what is present would speak of the patient, not of the sentence."""
    found = [
        item
        for item in items_in(pydicom.dcmread(io.BytesIO(report)))
        if item.get("ValueType") == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == MARK.value
    ]
    assert [item.RelationshipType for item in found] == ["CONTAINS"] * 3
    values = [item.ConceptCodeSequence[0] for item in found]
    assert [value.CodingSchemeDesignator for value in values] == ["99SIMCROP"] * 3
    assert values[0].CodeMeaning.startswith("A finding is absent")


def items_in(found: Any) -> Iterator[Any]:
    """All items of a report, whatever they lie in."""
    for item in found.get("ContentSequence", ()):
        yield item
        yield from items_in(item)


def test_every_mark_that_a_sentence_can_have_has_a_code_that_dicom_has_room_for() -> None:
    assert set(MARKED) == set(MARKS) == {mark_of(sentence) for sentence in SENTENCES.values()}
    assert all(len(of.value) <= 16 and len(of.meaning) <= 64 for of in (MARK, *MARKED.values()))
