"""The phantom's body: one patient on every grid, in slabs of any size; organs of known volume in their places."""

from dataclasses import replace

import numpy as np
import pytest

from simcrop.phantom.anatomy.body import LOBES, Anatomy
from simcrop.phantom.anatomy.branches import LOBE_AIRWAY_MM
from simcrop.phantom.anatomy.chest import LEFT_LUNG, RIGHT_LUNG, TRACHEA
from simcrop.phantom.anatomy.draw import draw_anatomy, draw_pose
from simcrop.phantom.grid import Frame, Grid, Points, Pose
from simcrop.phantom.organs import ORGANS, lung_labels, organ_labels
from simcrop.phantom.render import render

POSE = Pose(0.05, (4.0, -3.0, 6.0))
COARSE = Grid((67, 51, 45), (5.1, 5.3, 7.9), (0.0, 0.0, 0.0))
WHOLE = Grid((93, 83, 101), (4.0, 4.0, 4.5), (0.0, 0.0, -60.0))  # down to the lower ends of the kidneys
THIRD = Grid((129, 115, 139), (2.9, 2.9, 3.27), (0.0, 0.0, -60.0))


@pytest.fixture(scope="module")
def patient() -> Anatomy:
    return draw_anatomy(np.random.default_rng(7))


def finer(grid: Grid) -> Grid:
    """Eight voxels in the place of each."""
    nx, ny, nz = grid.shape
    sx, sy, sz = grid.spacing_mm
    return Grid((2 * nx, 2 * ny, 2 * nz), (sx / 2, sy / 2, sz / 2), grid.centre_mm)


def millilitres(mask: np.ndarray, grid: Grid) -> dict[int, float]:
    return {label: (mask == label).sum() * np.prod(grid.spacing_mm) / 1000 for label in np.unique(mask)}


def test_slabs_of_any_size_give_the_same_bits(patient: Anatomy, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render(patient, (), POSE, COARSE).hu
    labels = organ_labels(patient, POSE, COARSE)
    for slices in (1, 7):
        monkeypatch.setattr("simcrop.phantom.grid.SLAB_VOXELS", slices * 67 * 51)
        assert np.array_equal(render(patient, (), POSE, COARSE).hu, whole)
        assert np.array_equal(organ_labels(patient, POSE, COARSE), labels)


def test_blocks_leave_nothing_out(patient: Anatomy) -> None:
    """A scan of a single voxel is not cut into blocks: it is painted with every body."""
    whole = render(patient, (), POSE, COARSE).hu
    rng = np.random.default_rng(0)
    for i, j, k in zip(*(rng.integers(0, n, 60) for n in COARSE.shape), strict=True):
        at = (COARSE.affine @ (i, j, k, 1))[:3]
        alone = Grid((1, 1, 1), COARSE.spacing_mm, (float(at[0]), float(at[1]), float(at[2])))
        assert abs(int(render(patient, (), POSE, alone).hu[0, 0, 0]) - int(whole[k, j, i])) <= 1


def test_a_patient_is_the_same_on_a_finer_grid(patient: Anatomy) -> None:
    coarse, fine = render(patient, (), POSE, COARSE).hu, render(patient, (), POSE, finer(COARSE)).hu
    z, y, x = coarse.shape
    averaged = fine.reshape(z, 2, y, 2, x, 2).mean((1, 3, 5))
    off = np.abs(averaged - coarse)
    assert np.median(off) < 8
    assert np.corrcoef(averaged.ravel(), coarse.ravel())[0, 1] > 0.99


def test_organs_have_the_same_volume_on_two_grids(patient: Anatomy) -> None:
    coarse, fine = (millilitres(organ_labels(patient, POSE, g), g) for g in (finer(WHOLE), THIRD))
    assert set(fine) == {0, *ORGANS}
    for label in ORGANS:
        slack = 0.05 if fine[label] > 40 else 0.25
        assert coarse[label] == pytest.approx(fine[label], rel=slack), ORGANS[label]


def test_kidneys_and_gallbladder_have_the_volume_of_their_ovals(patient: Anatomy) -> None:
    grid = finer(WHOLE)
    found = millilitres(organ_labels(patient, POSE, grid), grid)
    for label, radii in ((2, (25, 24, 54)), (3, (25, 24, 54)), (4, (15, 14, 27))):
        oval = 4 / 3 * np.pi * np.prod(radii) * patient.organ_scale**3 / 1000
        assert found[label] == pytest.approx(oval, rel=0.05), ORGANS[label]


def test_organs_have_natural_volumes(patient: Anatomy) -> None:
    found = millilitres(organ_labels(patient, POSE, WHOLE), WHOLE)
    ranges = {
        1: (80, 400),
        2: (90, 220),
        3: (90, 220),
        6: (900, 2400),
        7: (100, 700),
        8: (80, 500),
        11: (25, 150),
    }
    for label, (low, high) in ranges.items():
        assert low < found[label] < high, (ORGANS[label], found[label])
    assert 1 < found[12] < 10


def test_organs_lie_on_their_sides_and_have_their_density(patient: Anatomy) -> None:
    plain = replace(patient, organ_hu=0.0, blood_hu=42.0)
    labels, hu = organ_labels(plain, POSE, WHOLE), render(plain, (), POSE, WHOLE).hu
    frame = Frame(WHOLE, POSE, slice(0, WHOLE.shape[2]))
    x = np.broadcast_to(frame.points.x, labels.shape)
    assert x[labels == 6].mean() > 20
    assert x[labels == 1].mean() < -60
    assert x[labels == 2].min() > 0 > x[labels == 3].max()
    assert x[labels == 12].min() > 0 > x[labels == 13].max()
    for label, (low, high) in {1: (35, 60), 2: (20, 45), 6: (45, 70), 8: (35, 50), 9: (35, 50)}.items():
        assert low < np.median(hu[labels == label]) < high, ORGANS[label]


def test_lung_masks_are_the_lungs_of_the_patient(patient: Anatomy) -> None:
    mask = lung_labels(patient, POSE, COARSE)
    frame = Frame(COARSE, POSE, slice(0, COARSE.shape[2]))
    lines = np.broadcast_arrays(frame.points.x, frame.points.y, frame.points.z)
    for label, side in ((RIGHT_LUNG, "right"), (LEFT_LUNG, "left")):
        inside = patient.lung(Points(*lines), side) <= 0
        assert inside[mask == label].all()
        assert (mask[inside] == label).mean() > 0.97
    assert (np.abs(lines[0][mask == TRACHEA]) < 60).all()
    assert np.median(render(patient, (), POSE, COARSE).hu[mask == TRACHEA]) < -700


def test_lobes_fill_the_lungs_and_do_not_overlap(patient: Anatomy) -> None:
    points = Points(*np.random.default_rng(0).uniform(-140, 140, (3, 4000)))
    for side in ("right", "left"):
        lobes = [patient.lung(points, s, lobe) < 0 for s, lobe in LOBES if s == side]
        lung = patient.lung(points, side) < 0
        assert lung.sum() > 200
        assert np.array_equal(np.sum(lobes, 0) == 1, lung)
        assert np.sum(lobes, 0).max() == 1


def test_airways_divide_and_narrow(patient: Anatomy) -> None:
    tree = patient.airways
    assert [a.generation for a in tree[:4]] == [0, 1, 1, 1]
    assert {(a.side, a.lobe) for a in tree if a.generation == 2} == set(LOBES)
    assert 4 <= max(a.generation for a in tree) <= 6
    for airway in tree[1:]:
        parent = tree[airway.parent]
        assert np.allclose(parent.tube.end, airway.tube.start, atol=1e-3)
        assert airway.tube.radius <= parent.tube.radius
        if airway.generation > 3:
            assert airway.tube.radius < LOBE_AIRWAY_MM
            assert patient.lung(Points(*np.array(airway.tube.end)[:, None]), airway.side, airway.lobe)[0] < 6


def test_vessels_are_many_and_thin_in_real_patients_and_few_in_easy_ones() -> None:
    real, easy = (draw_anatomy(np.random.default_rng(3), difficulty=d).branches for d in ("real", "easy"))
    assert len(real) > 4 * len(easy) > 400
    assert real[:, 7].min() < 0.8
    assert real[:, :8].dtype == np.float32


def test_easy_patients_are_nearly_alike_and_have_no_contrast() -> None:
    grid = Grid((53, 47, 31), (6.5, 6.7, 10.0), (0.0, 0.0, 0.0))
    spread = {}
    for difficulty in ("easy", "real"):
        drawn = [draw_anatomy(np.random.default_rng(seed), difficulty=difficulty) for seed in range(12)]
        scans = np.stack([render(a, (), Pose(0.0, (0.0, 0.0, 0.0)), grid).hu for a in drawn]).astype(
            np.float32
        )
        spread[difficulty] = scans.std(0).mean()
        contrast = {a.blood_hu > 100 for a in drawn}
        assert contrast == ({False} if difficulty == "easy" else {False, True})
    assert spread["easy"] < 0.35 * spread["real"]
    poses = [draw_pose(np.random.default_rng(seed), "easy") for seed in range(12)]
    assert max(abs(np.rad2deg(pose.angle)) for pose in poses) < 2
    assert max(abs(pose.shift_mm[0]) for pose in poses) < 4


def test_the_same_generator_gives_the_same_patient() -> None:
    one, other = (draw_anatomy(np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(render(one, (), POSE, COARSE).hu, render(other, (), POSE, COARSE).hu)
    assert not np.array_equal(one.branches, draw_anatomy(np.random.default_rng(10)).branches)
