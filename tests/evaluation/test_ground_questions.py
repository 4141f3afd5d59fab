"""What a scan is asked for beside its own sentences is nothing that its rows, its report or its labels say it has."""

from pathlib import Path

from simcrop.data.report import sentences
from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.grounding.questions import asked_of_rows, row_of
from simcrop.evaluation.wording.marks import mark_of
from simcrop.evaluation.wording.perturb import found_in, kind_of


def test_a_swapped_sentence_names_nothing_that_the_scan_has_whoever_says_so(toy_cohort: Path) -> None:
    cohort = open_cohort(toy_cohort)
    rows = []
    for study in cohort:  # one row of each scan, though its report says more
        said = [text for text in sentences(study.findings) if mark_of(text) != "denied" and kind_of(text)]
        rows += [row_of({"scan": study.id, "sentence": text, "value": 1}) for text in said[:1]]
    assert any(len(found_in(sentences(study.findings), study.labels)) > 1 for study in cohort)
    drawn = [asked_of_rows(cohort, rows, seed).questions for seed in range(20)]
    for study in cohort:
        has = found_in(sentences(study.findings) + sentences(study.impression), study.labels)
        swapped = [question.swapped for asked in drawn for question in asked.get(study.id, ())]
        assert not [text for text in swapped if text is not None and kind_of(text) in has]
    assert sum(question.swapped is not None for of in drawn[0].values() for question in of) > 5
