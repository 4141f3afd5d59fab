"""The way back to the grid in the file: against interpolation voxel by voxel, in all 48 axis orders, and by hand."""

from itertools import permutations, product

import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.ndimage import map_coordinates

from simcrop.data.preprocess import InputSpec, Placement, triple
from simcrop.data.resampling.back import LabelsBack
from simcrop.data.resampling.plan import plan
from simcrop.metrics.segmentation import score_classes

CODES = ["".join(c) for axes in permutations(("LR", "PA", "IS")) for c in product(*axes)]
SOURCE, CLASSES = (17, 13, 9), 4
UPRIGHT = np.array([[1.3, 0, 0, -31.5], [0, 2.1, 0, 12.25], [0, 0, 3.7, -140], [0, 0, 0, 1]])


def oblique() -> np.ndarray:
    """A few degrees about z and x."""
    a, b = np.deg2rad([11, -7])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = UPRIGHT.copy()
    affine[:3, :3] = turn @ tilt @ UPRIGHT[:3, :3]
    return affine


def stored_as(codes: str, labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A label volume in RAS+ with its axes in another order and direction."""
    turn = ornt_transform(axcodes2ornt(("R", "A", "S")), axcodes2ornt(tuple(codes)))
    return np.ascontiguousarray(apply_orientation(labels, turn)), affine @ inv_ornt_aff(turn, labels.shape)


def grid_of(
    shape: tuple[int, ...], affine: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[tuple[int, int, int], np.ndarray]:
    """The resampled grid of a scan, as ingest makes it."""
    made = plan(triple(shape), affine, spacing)
    return triple([len(made.taps[axis].first) for axis in made.axes]), made.affine


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    """Probabilities of classes, in patches large enough that neighbours often agree."""
    coarse = np.random.default_rng(0).random((CLASSES, *(-(-n // 3) for n in shape))) ** 4
    fine = np.kron(coarse, np.ones((1, 3, 3, 3)))[:, : shape[0], : shape[1], : shape[2]]
    return (fine / fine.sum(0)).astype(np.float32)


def back(
    probabilities: np.ndarray,
    source: tuple[tuple[int, ...], np.ndarray],
    affine: np.ndarray,
    nearest: bool = False,
    rows: int = 4,
) -> np.ndarray:
    way = LabelsBack(triple(source[0]), source[1], triple(probabilities.shape[1:]), affine, nearest)
    for start in range(0, probabilities.shape[1], rows):
        way.take(probabilities[:, start : start + rows])
    return way.labels


def slow_back(
    probabilities: np.ndarray, source: tuple[tuple[int, ...], np.ndarray], affine: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels by interpolation in mm at every stored voxel, and where no two classes are as good as equal."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in source[0]], indexing="ij"), -1)
    at = np.moveaxis(apply_affine(np.linalg.inv(affine) @ source[1], index), -1, 0)
    length = np.array(probabilities.shape[1:])[:, None, None, None]
    reached = ((at >= -0.5 - 1e-6) & (at <= length - 0.5 + 1e-6)).all(0)
    if order == 0:
        at = np.floor(at + 0.5 + 1e-6)
    at = at.clip(0, length - 1)
    means = np.stack([map_coordinates(one, at, np.float64, order=1, mode="nearest") for one in probabilities])
    highest = np.sort(means, axis=0)
    return np.where(reached, means.argmax(0), 0), (highest[-1] - highest[-2] > 1e-5) | ~reached


@pytest.mark.parametrize("codes", CODES)
def test_every_axis_order_is_that_of_interpolation_voxel_by_voxel(codes: str) -> None:
    turned, affine = stored_as(codes, np.zeros(SOURCE), oblique())
    source = (turned.shape, affine)
    grid, resampled = grid_of(*source, (2.0, 1.4, 2.5))
    for order in (0, 1):
        made = back(drawn(grid), source, resampled, nearest=order == 0)
        expected, clear = slow_back(drawn(grid), source, resampled, order)
        assert clear.mean() > 0.9
        assert len(np.unique(expected)) == CLASSES
        np.testing.assert_array_equal(made[clear], expected[clear])


@pytest.mark.parametrize("spacing", [(0.6, 0.9, 1.1), (4.0, 3.0, 9.0), (1.3, 2.1, 3.7)])
@pytest.mark.parametrize("nearest", [False, True])
def test_finer_coarser_and_equal_grids(spacing: tuple[float, float, float], nearest: bool) -> None:
    grid, resampled = grid_of(SOURCE, UPRIGHT, spacing)
    expected, clear = slow_back(drawn(grid), (SOURCE, UPRIGHT), resampled, 0 if nearest else 1)
    made = back(drawn(grid), (SOURCE, UPRIGHT), resampled, nearest)
    np.testing.assert_array_equal(made[clear], expected[clear])


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_how_many_rows_come_at_a_time_changes_nothing(rows: int) -> None:
    grid, resampled = grid_of(SOURCE, UPRIGHT, (2.0, 1.4, 2.5))
    whole = back(drawn(grid), (SOURCE, UPRIGHT), resampled, rows=grid[0])
    np.testing.assert_array_equal(back(drawn(grid), (SOURCE, UPRIGHT), resampled, rows=rows), whole)


@pytest.mark.parametrize("start", [(2, 3, 1), (-3, 4, -2), (40, 0, 0)])
def test_what_a_crop_does_not_reach_is_background(start: tuple[int, int, int]) -> None:
    grid, resampled = grid_of(SOURCE, UPRIGHT, (2.0, 1.45, 2.5))
    spec = InputSpec((2.0, 1.45, 2.5), (6, 8, 5))
    placement = Placement(spec, SOURCE, UPRIGHT, grid, resampled, start)
    probabilities = drawn(spec.shape)
    probabilities[0] = 0
    made = back(probabilities, (SOURCE, UPRIGHT), placement.affine)
    reached = ~np.isnan(placement.to_source(np.zeros(spec.shape, np.float32)))
    np.testing.assert_array_equal(made > 0, reached)
    expected, clear = slow_back(probabilities, (SOURCE, UPRIGHT), placement.affine, 1)
    np.testing.assert_array_equal(made[clear], expected[clear])


def balls() -> np.ndarray:
    """Two organs of another size, not in the middle, in a scan of one voxel per mm and 1.5 mm between slices."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in (40, 44, 36)], indexing="ij"), -1)
    first = ((index - (13, 20, 17)) ** 2).sum(-1) < 11**2
    second = ((index - (30, 21, 15)) ** 2).sum(-1) < 5.5**2
    return (first + 2 * second).astype(np.int16)


def through(labels: np.ndarray, affine: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """There by nearest neighbour, as masks are stored, and back by interpolation of which class it is."""
    grid, resampled = grid_of(labels.shape, affine, spacing)
    there = Placement(
        InputSpec(spacing, grid), triple(labels.shape), affine, grid, resampled, (0, 0, 0)
    ).cut_nearest(labels)
    one_hot = (there == np.arange(3)[:, None, None, None]).astype(np.float32)
    return back(one_hot, (labels.shape, affine), resampled)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "IPR", "SLA"])
def test_truth_at_its_own_spacing_comes_back_as_it_was(codes: str) -> None:
    labels, affine = stored_as(codes, balls(), np.diag([1.0, 1.0, 1.5, 1.0]))
    x, y, z = np.abs(affine[:3, :3]).sum(1)
    for score in score_classes(through(labels, affine, (x, y, z)), labels, (x, y, z), [1, 2]):
        assert (score.dice, score.hd95_mm, score.nsd) == (1.0, 0.0, 1.0)


def test_truth_through_training_spacing_has_its_known_value() -> None:
    affine = np.diag([1.0, 1.0, 1.5, 1.0])
    scores = score_classes(through(balls(), affine, (1.5, 1.5, 3.0)), balls(), (1.0, 1.0, 1.5), [1, 2], 1.5)
    assert [score.dice for score in scores] == pytest.approx([0.95109, 0.89665], abs=1e-5)
    assert [score.nsd for score in scores] == [1.0, 1.0]


def test_a_slab_of_six_slices_through_three_times_their_distance_by_hand() -> None:
    """Of slices 3 to 8 those at 3 and 6 are stored. Slice 2 lies a third of the way from 3 to 0, slice 8 two thirds of
    the way from 6 to 9: so 2 to 7 come back, and five of six are right.
    """
    labels = np.zeros((4, 5, 13), np.int16)
    labels[:, :, 3:9] = 1
    made = through(labels, np.eye(4), (1.0, 1.0, 3.0))
    assert np.flatnonzero(made[1, 2]).tolist() == [2, 3, 4, 5, 6, 7]
    assert score_classes(made, labels, (1.0, 1.0, 1.0), [1])[0].dice == pytest.approx(10 / 12)
