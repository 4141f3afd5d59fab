"""Histograms and their peaks, on numbers whose answer is on paper."""

import numpy as np
import pytest

from simcrop.data.quality.histograms import (
    AIR,
    BINS,
    FAT,
    LOW_HU,
    LUNG,
    SOFT,
    STEP_HU,
    Histograms,
    gathered,
    histogram,
    hu_outliers,
)

CHEST = {-1000: 0.4, -850: 0.2, -100: 0.15, 40: 0.2, 400: 0.05}


def chest(
    shift: int = 0,
    parts: dict[int, float] = CHEST,
    seed: int = 0,
    shape: tuple[int, int, int] = (20, 30, 40),
) -> np.ndarray:
    """Voxels of five tissues with a little noise, all of them `shift` HU too high."""
    rng = np.random.default_rng(seed)
    hu = rng.choice(list(parts), p=list(parts.values()), size=shape) + rng.normal(0, 6, shape)
    return np.rint(hu + shift).astype(np.int16)


def seen(**scans: np.ndarray) -> Histograms:
    return gathered({name: histogram(voxels) for name, voxels in scans.items()})


def test_histogram_equals_counting_one_by_one() -> None:
    voxels = np.random.default_rng(0).integers(-1400, 2000, (5, 7, 9)).astype(np.int16)
    slow = np.zeros(BINS)
    for hu in voxels.ravel().tolist():
        place = (hu - LOW_HU) // STEP_HU
        if 0 <= place < BINS:
            slow[place] += 1 / voxels.size
    np.testing.assert_allclose(histogram(voxels), slow, atol=1e-6)


def test_large_scan_is_thinned_and_keeps_its_shares() -> None:
    voxels = chest(shape=(120, 150, 160))
    shares, whole = histogram(voxels), histogram(voxels[:60])
    np.testing.assert_allclose(shares, whole, atol=0.005)


def test_peaks_and_shares_are_those_that_were_put_in() -> None:
    found = seen(a=chest())
    for tissue, hu, share in ((AIR, -1000, 0.4), (LUNG, -850, 0.2), (FAT, -100, 0.15), (SOFT, 40, 0.2)):
        assert found.peak_hu(tissue)[0] == pytest.approx(hu, abs=STEP_HU)
        assert found.share(tissue)[0] == pytest.approx(share, abs=0.02)


def test_tissue_that_is_hardly_there_has_no_peak() -> None:
    found = seen(a=chest(parts={-1000: 0.5, 40: 0.5}))
    assert np.isnan(found.peak_hu(LUNG)[0])
    assert not np.isnan(found.peak_hu(SOFT)[0])


def test_chests_are_not_odd_whatever_the_air_around_them() -> None:
    roomy = {-1000: 0.7, -850: 0.1, -100: 0.075, 40: 0.1, 400: 0.025}
    scans = {f"s{i}": chest(seed=i, parts=roomy if i % 2 else CHEST) for i in range(6)}
    assert hu_outliers(seen(**scans)) == []


@pytest.mark.parametrize(("shift", "words"), [(150, "soft tissue peaks at"), (1024, "hardly any lung")])
def test_shifted_scan_is_named_with_what_is_wrong(shift: int, words: str) -> None:
    scans = {f"s{i}": chest(seed=i) for i in range(6)}
    (outlier,) = hu_outliers(seen(**scans, shifted=chest(shift)))
    assert outlier.id == "shifted"
    assert words in outlier.sentence
    assert "from the cohort's median scan" in outlier.sentence


def test_distance_from_the_cohort_is_the_shift() -> None:
    scans = {f"s{i}": chest(seed=i) for i in range(6)}
    fluid = {**CHEST, -850: 0.1, 40: 0.3}  # a sixth of the body moves by 890 HU
    apart = seen(**scans, fluid=chest(parts=fluid)).apart_hu
    assert apart[-1] == pytest.approx(890 / 6, rel=0.1)
    assert apart[:-1].max() < 20


def test_no_scans_are_no_trouble() -> None:
    empty = gathered({})
    assert len(empty) == 0
    assert hu_outliers(empty) == []
