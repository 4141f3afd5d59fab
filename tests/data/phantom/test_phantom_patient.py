"""The phantom's patients: findings lie where their sentences say, and one patient is the same on every grid."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from simcrop.data.phantom.findings import LABELS, Finding
from simcrop.data.phantom.grid import Frame, Grid, Points
from simcrop.data.phantom.patient import Patient, draw_patient
from simcrop.data.phantom.render import Picture, render
from simcrop.data.phantom.report import write_report

LUNG_KINDS = ("Lung nodule", "Consolidation", "Lung opacity", "Atelectasis", "Emphysema", "Pleural effusion")


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [draw_patient(11, number) for number in range(1, 29)]


def patient_points(patient: Patient, grid: Grid) -> Points:
    """Patient mm of every voxel, as flat `(z, y, x)` arrays."""
    points = Frame(grid, patient.pose, slice(0, grid.shape[2])).points
    x, y, z = np.broadcast_arrays(points.x, points.y, points.z)
    return Points(x, y, z)


@cache
def picture(patient: Patient) -> Picture:
    """The patient without noise, 128 x 128 x 64."""
    return render(patient.anatomy, patient.findings, patient.pose, patient.grid("small"))


def shown(patients: list[Patient], kinds: tuple[str, ...]) -> list[tuple[Patient, Finding]]:
    found = [
        (patient, finding) for patient in patients for finding in patient.findings if finding.kind in kinds
    ]
    assert found
    return found


def test_masks_lie_in_the_lung_and_lobe_that_their_sentence_names(patients: list[Patient]) -> None:
    seen = Counter()
    for patient, finding in shown(patients, LUNG_KINDS):
        grid = patient.grid("small")
        points = patient_points(patient, grid)
        inside = picture(patient).mask == finding.mask_value
        assert inside.any()
        at = Points(points.x[inside], points.y[inside], points.z[inside])
        sides = ("left", "right") if finding.side == "both" else (finding.side,)
        depth = np.min([patient.anatomy.lung(at, side, finding.lobe) for side in sides], 0)
        assert (depth <= 0.01).all(), finding
        if finding.side != "both":  # the patient's left is where x is small
            assert (np.sign(at.x) == (1 if finding.side == "right" else -1)).all()
        seen[finding.kind] += 1
    assert set(seen) == set(LUNG_KINDS)


def test_left_in_the_patient_is_left_in_the_affine() -> None:
    drawn = (draw_patient(2, number) for number in range(1, 60))
    patient = next(p for p in drawn if "Cardiomegaly" in {finding.kind for finding in p.findings})
    grid = patient.grid("tiny")
    mask = patient.scans("tiny")[1] == patient.findings[0].mask_value
    k, j, i = (axis.mean() for axis in np.nonzero(mask))
    x, y, z = (grid.affine @ (i, j, k, 1))[:3] - patient.pose.shift_mm
    assert x < -5, "the heart lies left of the middle, and left is negative in RAS+"
    assert y > 5, "and in front of it"
    assert z < 0


def test_nodules_have_their_density_and_their_size(patients: list[Patient]) -> None:
    for patient, finding in shown(patients, ("Lung nodule",)):
        hu, mask = picture(patient).hu, picture(patient).mask == finding.mask_value
        assert -900 < hu[mask].min() < hu[mask].max() < 100
        if finding.size_mm >= 18:
            assert 0 < np.median(hu[mask]) < 80
            millilitres = mask.sum() * np.prod(patient.grid("small").spacing_mm) / 1000
            assert millilitres == pytest.approx(np.pi / 6 * (finding.size_mm / 10) ** 3, rel=0.25)


def test_findings_have_plausible_density(patients: list[Patient]) -> None:
    ranges = {
        "Consolidation": (-100, 60),
        "Lung opacity": (-700, -350),
        "Pleural effusion": (-60, 40),
        "Emphysema": (-1000, -880),
        "Pericardial effusion": (-40, 45),
        "Medical material": (300, 3071),
    }
    for patient, finding in shown(patients, tuple(ranges)):
        inside = picture(patient).mask == finding.mask_value
        low, high = ranges[finding.kind]
        assert low < np.median(picture(patient).hu[inside]) < high, finding.kind


def test_a_patient_is_the_same_on_every_grid(patients: list[Patient]) -> None:
    patient = patients[0]
    coarse, fine = (
        render(patient.anatomy, (), patient.pose, patient.grid(size)).hu for size in ("tiny", "small")
    )
    z, y, x = coarse.shape
    averaged = fine.reshape(z, 2, y, 2, x, 2).mean((1, 3, 5))
    assert np.median(np.abs(averaged - coarse)) < 15
    assert np.corrcoef(averaged.ravel(), coarse.ravel())[0, 1] > 0.985


def test_slabs_join_without_a_seam(patients: list[Patient], monkeypatch: pytest.MonkeyPatch) -> None:
    patient = next(p for p in patients if len(p.findings) > 2)
    whole = render(patient.anatomy, patient.findings, patient.pose, patient.grid("tiny"))
    monkeypatch.setattr("simcrop.data.phantom.grid.SLAB_VOXELS", 5 * 64 * 64)
    pieces = render(patient.anatomy, patient.findings, patient.pose, patient.grid("tiny"))
    assert np.abs(whole.hu - pieces.hu).max() < 0.1
    assert np.array_equal(whole.mask, pieces.mask)


def test_a_lesion_between_voxels_still_has_a_voxel_of_its_own() -> None:
    for number in range(1, 60):
        patient = draw_patient(4, number)
        mask = patient.scans("tiny")[1]
        assert set(np.unique(mask)) == {0, *(finding.mask_value for finding in patient.findings)}


def test_some_scans_are_padded_outside_the_circle(patients: list[Patient]) -> None:
    assert [p.number for p in patients if p.padded][:2] == [2, 9]
    hu = patients[1].scans("tiny")[0][0]
    assert (hu[:, 0, 0] == -2048).all()
    assert 0.05 < (hu == -2048).mean() < 0.25
    assert patients[0].scans("tiny")[0][0].min() >= -1024


def test_the_right_lung_is_larger_and_lungs_are_adult(patients: list[Patient]) -> None:
    for patient in patients[:6]:
        grid = patient.grid("tiny")
        points = patient_points(patient, grid)
        right, left = (
            (patient.anatomy.lung(points, side) < 0).sum() * np.prod(grid.spacing_mm) / 1e6
            for side in ("right", "left")
        )
        assert right > left
        assert 2 < right + left < 7, "litres"


def test_one_in_five_is_normal_and_the_main_findings_are_common() -> None:
    cohort = [draw_patient(1, number) for number in range(1, 201)]
    counts = [len(patient.findings) for patient in cohort]
    assert 0.12 < counts.count(0) / len(counts) < 0.28
    assert max(counts) == 4
    kinds = Counter(finding.kind for patient in cohort for finding in patient.findings)
    assert set(kinds) <= set(LABELS)
    for kind in (*LUNG_KINDS, "Cardiomegaly", "Pericardial effusion"):
        assert kinds[kind] > 20, kind


def test_reports_say_what_is_there_in_one_order_and_repeat_stock_sentences() -> None:
    texts = Counter()
    for number in range(1, 101):
        patient = draw_patient(8, number)
        report = write_report(patient.findings, False, patient.words())
        assert 8 <= len(report.sentences) <= 15
        assert all(
            s.text.endswith(".") and s.text.count(".") == 1 and "None" not in s.text for s in report.sentences
        )
        assert "None" not in report.impression
        said = {s.kind for s in report.sentences if s.finding}
        assert said == {finding.kind for finding in patient.findings}
        assert not said & {s.kind for s in report.sentences if s.negated}
        texts.update(s.text for s in report.sentences)
    repeated = sum(count for count in texts.values() if count >= 5)
    assert repeated / texts.total() > 0.45
    assert len(texts) > 100
