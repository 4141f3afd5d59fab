"""Instances are told apart, measured and paired as a slow and obvious version does it.

Axes: x y z voxels; spacings of three different lengths, so that a swapped axis shows.
"""

from itertools import combinations, permutations, product

import numpy as np
import pytest

from simcrop.metrics.instances import (
    Instance,
    average_surface_distance,
    box_around,
    centroid_distance,
    gap_mm,
    instances_in,
    overlap,
    pairs,
    pairs_by_distance,
    pairs_by_overlap,
    pieces_of,
)

SPACING = (0.7, 1.1, 3.0)
SHAPE = (11, 9, 7)
Voxels = set[tuple[int, int, int]]


def blobs(seed: int, count: int = 4) -> np.ndarray:
    """Boxes with numbers, some of which touch or cover others."""
    rng, labels = np.random.default_rng(seed), np.zeros(SHAPE, np.int16)
    for number in range(1, count + 1):
        low = [int(rng.integers(0, n - 2)) for n in SHAPE]
        size = rng.integers(1, 4, 3).tolist()
        labels[tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))] = number
    return labels


def voxels_of(instance: Instance) -> Voxels:
    where = np.zeros(SHAPE, bool)
    where[instance.box] = instance.mask
    return set(map(tuple, np.argwhere(where).tolist()))


def slow_pieces(mask: np.ndarray) -> list[Voxels]:
    """Walks from voxel to voxel by faces and edges."""
    left = set(map(tuple, np.argwhere(mask).tolist()))
    steps = [s for s in product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, s)) < 3]
    found = []
    while left:
        piece, edge = set(), [left.pop()]
        while edge:
            at = edge.pop()
            piece.add(at)
            near = {tuple(a + b for a, b in zip(at, step, strict=True)) for step in steps} & left
            left -= near
            edge += near
        found.append(piece)
    return found


def slow_surface(voxels: Voxels) -> np.ndarray:
    steps = [s for s in product((-1, 0, 1), repeat=3) if sum(map(abs, s)) == 1]
    border = [v for v in voxels if any(tuple(np.add(v, step).tolist()) not in voxels for step in steps)]
    return np.array(border) * SPACING


def slow_distances(one: Voxels, other: Voxels, focal: bool) -> float:
    if focal:
        middles = [np.mean([np.multiply(v, SPACING) for v in voxels], axis=0) for voxels in (one, other)]
        return float(np.linalg.norm(middles[0] - middles[1]))
    a, b = slow_surface(one), slow_surface(other)
    every = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return float((every.min(1).sum() + every.min(0).sum()) / (len(a) + len(b)))


def slow_pairs(fits: np.ndarray) -> int:
    """The best of all ways to pair rows with columns."""
    few, many = sorted(fits.shape)
    fits = fits if fits.shape[0] == few else fits.T
    return (
        max(sum(fits[i, j] for i, j in enumerate(way)) for way in permutations(range(many), few))
        if few
        else 0
    )


@pytest.mark.parametrize("seed", range(6))
def test_pieces_hang_together_by_faces_and_edges_and_small_ones_are_none(seed: int) -> None:
    mask = np.random.default_rng(seed).random(SHAPE) < 0.12
    for smallest in (1, 3):
        wanted = [piece for piece in slow_pieces(mask) if len(piece) >= smallest]
        found = [voxels_of(piece) for piece in pieces_of(mask, SPACING, smallest)]
        assert sorted(map(sorted, found)) == sorted(map(sorted, wanted))


def test_corners_do_not_join_and_edges_do() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[2, 2, 2] = mask[3, 3, 3] = True
    assert len(pieces_of(mask, SPACING, 1)) == 2
    mask[2, 3, 3] = True
    assert len(pieces_of(mask, SPACING, 1)) == 1


def test_instances_that_touch_stay_apart_and_keep_their_place() -> None:
    labels = np.zeros(SHAPE, np.int16)
    labels[2:4, 1:5, 3] = 7
    labels[4:6, 1:5, 3] = 2
    second, seventh = instances_in(labels, SPACING)
    assert voxels_of(second) == {(x, y, 3) for x in (4, 5) for y in range(1, 5)}
    assert voxels_of(seventh) == {(x, y, 3) for x in (2, 3) for y in range(1, 5)}
    assert (second.voxels, overlap(second, seventh)) == (8, 0.0)
    assert seventh.centroid_mm == pytest.approx((2.5 * 0.7, 2.5 * 1.1, 9.0))
    assert centroid_distance(second, seventh) == pytest.approx(1.4)


def test_nothing_has_no_box_and_no_instances() -> None:
    nothing = np.zeros(SHAPE, bool)
    assert box_around(nothing) is None
    assert instances_in(nothing.astype(np.int16), SPACING) == pieces_of(nothing, SPACING) == []


@pytest.mark.parametrize("seed", range(8))
def test_distances_and_overlaps_are_those_of_the_slow_version(seed: int) -> None:
    predicted, truth = instances_in(blobs(seed), SPACING), instances_in(blobs(100 + seed), SPACING)
    for one, other in product(predicted, truth):
        a, b = voxels_of(one), voxels_of(other)
        assert overlap(one, other) == pytest.approx(2 * len(a & b) / (len(a) + len(b)))
        assert centroid_distance(one, other) == pytest.approx(slow_distances(a, b, focal=True))
        assert average_surface_distance(one, other) == pytest.approx(slow_distances(a, b, focal=False))
        nearest = min(np.linalg.norm(np.multiply(np.subtract(v, w), SPACING)) for v in a for w in b)
        assert gap_mm(one, other) <= nearest + 1e-9


@pytest.mark.parametrize("focal", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_pairs_are_as_many_as_the_best_way_of_all_ways_makes(seed: int, focal: bool) -> None:
    predicted, truth = instances_in(blobs(seed, 5), SPACING), instances_in(blobs(50 + seed, 4), SPACING)
    near = [[slow_distances(voxels_of(p), voxels_of(t), focal) for t in truth] for p in predicted]
    same = [[overlap(p, t) >= 0.2 for t in truth] for p in predicted]
    for limit in (1.0, 3.0, 6.0):
        wanted = slow_pairs(np.array(near) <= limit)
        assert pairs_by_distance(predicted, truth, focal, limit) == wanted
    assert pairs_by_overlap(predicted, truth, 0.2) == slow_pairs(np.array(same))


def test_one_large_piece_is_the_twin_of_one_instance_alone() -> None:
    labels = np.zeros(SHAPE, np.int16)
    labels[1:3, 1:5, 3], labels[3:5, 1:5, 3] = 1, 2
    both = pieces_of(labels > 0, SPACING)
    assert len(both) == 1
    assert pairs_by_overlap(both, instances_in(labels, SPACING), 0.2) == 1
    assert pairs([], both, lambda _p, _t: True) == pairs(both, [], lambda _p, _t: True) == 0


def test_a_pair_is_not_spent_on_the_first_that_comes() -> None:
    names = {"a": "xy", "b": "x"}  # whoever gives x to a leaves b alone
    instances = {name: instances_in(blobs(1, 1), SPACING)[0] for name in "abxy"}
    of = {id(instance): name for name, instance in instances.items()}
    for order in combinations("ab", 2):
        for reverse in (order, order[::-1]):
            predicted, truth = [instances[n] for n in reverse], [instances[n] for n in "xy"]
            assert pairs(predicted, truth, lambda p, t: of[id(t)] in names[of[id(p)]]) == 2
