"""Scans of ReXGroundingCT looked at one by one: one that says nothing is refused, and the rest goes on."""

import numpy as np
import pytest

from simcrop.data.store.cohort import open_cohort
from simcrop.data.store.findings import MarkedFinding
from simcrop.evaluation.grounding import finding_maps
from simcrop.model import load
from simcrop.tasks.grounding.rex_judged import Looking, Refused, looked_at


def test_a_scan_whose_features_are_no_numbers_is_refused(line, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would make every mean NaN, and with it the threshold that is chosen."""
    first, second = list(open_cohort(line.cohort))[:2]
    finding = MarkedFinding(0, "A nodule.", "2a", complete=True)
    findings = {first.id: [finding], second.id: [finding]}
    real, refused = finding_maps.similarity_of, list[Refused]()
    monkeypatch.setattr(
        finding_maps,
        "similarity_of",
        lambda model, study, *told: real(model, study, *told) * (np.nan if study.id == first.id else 1),
    )
    (maps,) = looked_at(Looking(load(line.run), findings), [first, second], refused)
    assert maps.study.id == second.id
    assert [(one.id, one.reason) for one in refused] == [(first.id, "not-finite")]
