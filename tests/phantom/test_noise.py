"""The scanner's noise: its strength, how alike neighbours are, and that it follows from its generator."""

import numpy as np
import pytest

from simcrop.phantom.grid import Grid
from simcrop.phantom.noise import add_noise

FINE = Grid((160, 144, 10), (0.7, 0.7, 1.1), (0.0, 0.0, 0.0))
COARSE = Grid((61, 57, 23), (5.5, 5.5, 10.0), (0.0, 0.0, 0.0))


def flat(grid: Grid, hu: int = 40) -> np.ndarray:
    return np.full(grid.shape[::-1], hu, np.int16)


def middle(noisy: np.ndarray) -> np.ndarray:
    y, x = (n // 3 for n in noisy.shape[1:])
    return noisy[:, y:-y, x:-x].astype(np.float32) - 40


def test_noise_is_strong_in_small_voxels_and_has_no_bias() -> None:
    fine, coarse = (add_noise(flat(g), g, np.random.default_rng(1)) for g in (FINE, COARSE))
    assert fine.dtype == np.int16
    assert 25 < middle(fine).std() < 50
    assert 3 < middle(coarse).std() < 6
    assert abs(middle(fine).mean()) < 1
    assert abs(middle(coarse).mean()) < 0.5


def test_level_scales_the_noise() -> None:
    usual, loud = (
        middle(add_noise(flat(FINE), FINE, np.random.default_rng(1), "soft", level)).std()
        for level in (1.0, 2.0)
    )
    assert loud == pytest.approx(2 * usual, rel=0.03)


def test_a_soft_kernel_makes_neighbours_alike_and_edges_dull() -> None:
    alike, step = {}, {}
    for kernel in ("soft", "sharp"):
        noise = middle(add_noise(flat(FINE), FINE, np.random.default_rng(2), kernel))
        alike[kernel] = np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())[0, 1]
        half = flat(FINE)
        half[:, :, 80:] = -800
        noisy = add_noise(half, FINE, np.random.default_rng(2), kernel, 0.1).astype(np.float32)
        step[kernel] = (noisy[:, :, 79] - noisy[:, :, 80]).mean()
    assert alike["soft"] > 0.4 > 0.2 > alike["sharp"] > -0.3
    assert step["sharp"] > 900 > 840 > 800 > step["soft"]


def test_slices_and_scans_differ_but_one_generator_gives_one_scan() -> None:
    first, again, other = (add_noise(flat(FINE), FINE, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    slices = middle(first).reshape(len(first), -1)
    assert np.abs(np.corrcoef(slices) - np.eye(len(slices))).max() < 0.2


def test_values_stay_in_the_range_of_a_scanner() -> None:
    ends = flat(FINE, -1024)
    ends[:, :70] = 3071
    noisy = add_noise(ends, FINE, np.random.default_rng(0))
    assert noisy.min() == -1024
    assert noisy.max() == 3071
