"""Whom a question is swapped with: the same rows as from a list of all others, found without such lists."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.asking import draw_questions
from simcrop.evaluation.foreign import AskedRows
from simcrop.evaluation.grounding.questions import asked_of_rows, said_of
from simcrop.evaluation.wording.perturb import found_in
from simcrop.phantom.truth import read_truth

FINDINGS = ("nodule", "effusion", "emphysema", "mass", "cyst")


@pytest.mark.parametrize("seed", range(20))
def test_every_row_of_another_patient_about_what_is_lacked_stands_at_its_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(f"p{rng.integers(4)}", FINDINGS[rng.integers(5)]) for _ in range(rng.integers(1, 30))]
    asked = AskedRows(rows)
    for patient in ("p0", "p1", "stranger"):
        has = {*rng.choice(FINDINGS, rng.integers(6), replace=False).tolist(), "never asked"}
        slow = [i for i, (whose, of) in enumerate(rows) if whose != patient and of not in has]
        found = asked.foreign(patient, has)
        assert len(found) == len(slow)
        assert [found[number] for number in range(len(slow))] == slow
        with pytest.raises(IndexError, match=f"row {len(slow)} of {len(slow)}"):
            found[len(slow)]


def test_sentences_of_a_truth_are_swapped_as_from_a_list_of_all_others(line) -> None:
    cohort, truth = open_cohort(line.cohort), read_truth(line.raw)
    found, rng = draw_questions(cohort, truth, seed=3), np.random.default_rng((3, 4))
    has = {study.id: {s.finding for s in truth.of(study.id) if not s.negated} for study in cohort}
    for question in found:
        others = [
            of.text for of in found if of.patient != question.patient and of.kind not in has[question.study]
        ]
        assert question.swapped == (others[int(rng.integers(len(others)))] if others else None)


class Counted(dict):
    """A row that counts how often it is looked at."""

    looks = 0

    def __getitem__(self, key: str) -> Any:
        Counted.looks += 1
        return super().__getitem__(key)


def test_rows_are_swapped_as_from_a_list_of_all_others_and_none_is_looked_at_for_each(
    toy_cohort: Path,
) -> None:
    cohort, rng, rows = open_cohort(toy_cohort), np.random.default_rng(0), []
    studies = {study.id: study for study in cohort}
    for number in range(400):
        scan, finding = rng.choice(list(studies)), rng.choice(["", *map(str, range(99))])
        told = {"values": (1,), "level_mm": None, "side": ""}
        rows.append(Counted(scan=str(scan), sentence=f"Row {number}.", finding=str(finding), **told))
    Counted.looks = 0
    asked = asked_of_rows(cohort, rows, seed=5)
    assert Counted.looks < 20 * len(rows)
    has = {name: set(found_in(said_of(study), study.labels)) for name, study in studies.items()}
    for row in rows:
        has[row["scan"]].add(row["finding"])
    rng, swapped = np.random.default_rng((5, 4)), {}
    for row in rows:
        others = [
            of["sentence"]
            for of in rows
            if of["finding"]
            and studies[of["scan"]].patient != studies[row["scan"]].patient
            and of["finding"] not in has[row["scan"]]
        ]
        swapped[row["sentence"]] = others[int(rng.integers(len(others)))] if others else None
    assert {q.text: q.swapped for of in asked.questions.values() for q in of} == swapped
    assert len(set(swapped.values())) > 50
