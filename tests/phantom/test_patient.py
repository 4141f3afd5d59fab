"""The phantom's patients: names, poses, reconstructions, and that one patient is the same on every grid."""

import numpy as np
import pytest

from simcrop.phantom.grid import Frame, Grid, Points
from simcrop.phantom.patient import Patient, draw_patient
from simcrop.phantom.render import render

LUNG_KINDS = ("Lung nodule", "Consolidation", "Lung opacity", "Atelectasis", "Emphysema", "Pleural effusion")


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [draw_patient(11, number) for number in range(1, 12)]


def patient_points(patient: Patient, grid: Grid) -> Points:
    """Patient mm of every voxel, as flat `(z, y, x)` arrays."""
    points = Frame(grid, patient.pose, slice(0, grid.shape[2])).points
    x, y, z = np.broadcast_arrays(points.x, points.y, points.z)
    return Points(x, y, z)


def test_left_in_the_patient_is_left_in_the_affine() -> None:
    patient = draw_patient(2, 1, "real", ["Cardiomegaly"])
    grid = patient.grid("tiny")
    mask = patient.scans("tiny")[1] == patient.findings[0].mask_value
    k, j, i = (axis.mean() for axis in np.nonzero(mask))
    x, y, z = (grid.affine @ (i, j, k, 1))[:3] - patient.pose.shift_mm
    assert x < -5, "the heart lies left of the middle, and left is negative in RAS+"
    assert y > 5, "and in front of it"
    assert z < 0


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
    monkeypatch.setattr("simcrop.phantom.grid.SLAB_VOXELS", 5 * 64 * 64)
    pieces = render(patient.anatomy, patient.findings, patient.pose, patient.grid("tiny"))
    assert np.abs(whole.hu - pieces.hu).max() < 0.1
    assert np.array_equal(whole.mask, pieces.mask)


def test_a_lesion_between_voxels_still_has_a_voxel_of_its_own() -> None:
    for number in range(1, 25):
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


def test_a_second_reconstruction_has_the_other_kernel() -> None:
    patient = draw_patient(1, 4, "real", [])
    one, two = patient.scans("tiny")[0]
    assert len(patient.volumes) == 2
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.99
    assert (one != two).mean() > 0.5


def test_easy_patients_look_alike_to_the_scanner_and_real_ones_do_not() -> None:
    easy, real = ([draw_patient(3, n, level, []) for n in range(1, 12)] for level in ("easy", "real"))
    assert {(p.kernel, p.noise_level) for p in easy} == {("soft", 0.6)}
    assert {p.kernel for p in real} == {"soft", "sharp"}
    assert len({p.noise_level for p in real}) == len(real)
    assert np.std([p.pose.angle for p in easy]) < 0.5 * np.std([p.pose.angle for p in real])
    assert all(p.difficulty == "easy" for p in easy)


def test_a_larger_cohort_holds_the_same_patients() -> None:
    assert draw_patient(7, 3).findings == draw_patient(7, 3).findings
    assert [draw_patient(7, n).name for n in (2, 3, 4)] == ["train_2", "valid_1", "train_3"]
