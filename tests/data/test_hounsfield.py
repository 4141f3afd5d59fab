"""The HU decision: each source of evidence, each kind of numbers that is no CT, and padding.

No axes matter here; toy scans are 5 x 7 x 9 or larger, in HU.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from simcrop.data.hounsfield import Hint, decide, hint_from_ct_rate, to_hu
from simcrop.errors import SimcropError

CT_RATE = Hint(1.0, -1024.0)
CT_RATE_WIDE = Hint(1.0, -8192.0)


@pytest.fixture(scope="module")
def chest() -> np.ndarray:
    """HU of a plausible chest: 40 % air outside, 30 % lung, 28 % soft tissue, 2 % bone; noisy, int16."""
    random = np.random.default_rng(3)
    kind = random.choice(4, (50, 70, 90), p=[0.4, 0.3, 0.28, 0.02])
    noise = random.normal(0, 20, kind.shape)
    return (np.choose(kind, [-1000, -850, 40, 700]) + noise).astype(np.int16)


def reason(values: np.ndarray, **kwargs: float | Hint) -> str:
    with pytest.raises(SimcropError) as caught:
        decide(values, **kwargs)
    assert "\n" not in caught.value.sentence
    return caught.value.reason


def test_numbers_that_are_hu_are_left_alone(chest: np.ndarray) -> None:
    decision = decide(chest)
    assert (decision.source, decision.slope, decision.intercept) == ("stored", 1, 0)
    assert decision.padding_hu is None
    hu = to_hu(chest, decision)
    assert hu.dtype == np.float32
    np.testing.assert_array_equal(hu, chest)


def test_the_header_rescale_is_used(chest: np.ndarray) -> None:
    decision = decide((chest + 1024) * 2, slope=0.5, intercept=-1024.0)
    assert decision.source == "header"
    np.testing.assert_array_equal(to_hu((chest + 1024) * 2, decision), chest)


@pytest.mark.parametrize("hint", [CT_RATE, CT_RATE_WIDE])
def test_the_table_rescales_raw_numbers(chest: np.ndarray, hint: Hint) -> None:
    raw = (chest - hint.intercept).astype(np.int16)
    decision = decide(raw, hint=hint)
    assert (decision.source, decision.intercept) == ("metadata", hint.intercept)
    np.testing.assert_array_equal(to_hu(raw, decision), chest)


def test_padding_stored_below_zero_does_not_pass_raw_numbers_off_as_hu(chest: np.ndarray) -> None:
    raw = (chest.clip(-1000) - CT_RATE.intercept).astype(np.int16)
    raw[:6] = -1024  # padding as stored: as HU it would look like air
    decision = decide(raw, hint=CT_RATE)
    assert (decision.source, decision.intercept, decision.padding_hu) == ("metadata", -1024, -2048)
    assert (to_hu(raw, decision)[:6] == -1000).all()
    assert reason(raw) == "not-ct"


@pytest.mark.parametrize("hint", [CT_RATE, CT_RATE_WIDE])
def test_the_table_never_rescales_hu_again(chest: np.ndarray, hint: Hint) -> None:
    assert decide(chest, hint=hint).source == "stored"
    assert decide((chest + 1024).astype(np.int16), 1.0, -1024.0, hint).source == "header"


def test_a_header_that_would_rescale_hu_twice_is_overruled(chest: np.ndarray) -> None:
    decision = decide(chest, 1.0, -1024.0)
    assert (decision.source, decision.intercept) == ("stored", 0)
    assert "spoil" in decision.sentence


def test_numbers_with_bright_and_dark_exchanged_are_refused(chest: np.ndarray) -> None:
    with pytest.raises(SimcropError, match="bright and dark are exchanged") as caught:
        decide(-chest)
    assert caught.value.reason == "not-ct"
    assert "--rescale" not in caught.value.sentence
    assert reason(-chest.clip(-1000)) == "not-ct"
    assert reason(-chest, hint=CT_RATE) == "not-ct"
    assert reason(chest + 1024, slope=-1.0, intercept=1024.0) == "not-ct"


def test_a_negative_slope_is_believed_where_it_shows_the_air_around_a_patient(chest: np.ndarray) -> None:
    decision = decide(-chest, slope=-1.0)
    assert (decision.source, decision.slope) == ("header", -1)
    np.testing.assert_array_equal(to_hu(-chest, decision), chest)
    decision = decide(chest, slope=-1.0)
    assert (decision.source, decision.slope) == ("stored", 1)
    lung_and_vessels = chest[(chest > -950) & (chest < 200)]
    assert decide(lung_and_vessels).source == "stored"
    assert reason(lung_and_vessels, slope=-1.0) == "not-ct"
    assert reason(-lung_and_vessels, slope=-1.0) == "not-ct"


def test_hu_rescaled_twice_on_disk_are_refused(chest: np.ndarray) -> None:
    clipped = np.maximum(chest, -1000)  # air as one exact number must not pass for padding
    assert reason(chest - np.int16(1024)) == "not-ct"
    assert reason(clipped - np.int16(1024), hint=CT_RATE) == "not-ct"


def test_raw_numbers_without_any_rescale_are_refused_with_advice(chest: np.ndarray) -> None:
    with pytest.raises(SimcropError) as caught:
        decide(chest + np.int16(1024))
    assert caught.value.reason == "not-ct"
    assert "intercept of -1024" in caught.value.sentence


@pytest.mark.parametrize("padding", [-1200, -2048, -3024, -8192])
def test_padding_becomes_air_and_its_share_is_recorded(chest: np.ndarray, padding: int) -> None:
    padded = chest.copy()
    padded[:10] = padding
    decision = decide(padded)
    assert decision.padding_hu == padding
    assert decision.padding_share == pytest.approx(0.2, abs=0.02)
    assert f"{padding}" in decision.sentence
    hu = to_hu(padded, decision)
    assert (hu[:10] == -1000).all()
    np.testing.assert_array_equal(hu[10:], chest[10:])


def test_padding_survives_a_rescale_by_the_table(chest: np.ndarray) -> None:
    raw = (chest + 8192).astype(np.int16)
    raw[:10] = 0
    decision = decide(raw, hint=CT_RATE_WIDE)
    assert (decision.source, decision.padding_hu) == ("metadata", -8192)
    assert to_hu(raw, decision)[0, 0, 0] == -1000


def test_a_few_voxels_of_garbage_become_air_even_if_no_sample_meets_them(chest: np.ndarray) -> None:
    spoilt = np.tile(chest, (2, 2, 2))
    spoilt[1, 2, 3] = -31891
    decision = decide(spoilt)
    assert decision.padding_hu == -31891
    hu = to_hu(spoilt, decision)
    assert hu[1, 2, 3] == -1000
    assert (hu != spoilt).sum() == 1


def test_noise_below_air_is_kept(chest: np.ndarray) -> None:
    noisy = chest.copy()
    noisy[0, :60, 0] = np.arange(-1160, -1100)
    np.testing.assert_array_equal(to_hu(noisy, decide(noisy)), noisy)


@pytest.mark.parametrize("noise_hu", [120, 160, 200])
@pytest.mark.parametrize("air", [0.4, 0.65])
def test_air_with_much_noise_that_was_stored_unclipped_is_a_ct(noise_hu: int, air: float) -> None:
    """Sharp kernels and low doses: a fifth of the air may lie below -1200."""
    random = np.random.default_rng(8)
    kind = random.choice(3, (40, 50, 60), p=[air, 0.9 - air, 0.1])
    hu = (np.choose(kind, [-1000, -850, 40]) + random.normal(0, noise_hu, kind.shape)).astype(np.int16)
    decision = decide(hu)
    assert (decision.source, decision.slope, decision.intercept) == ("stored", 1, 0)
    raw = decide(hu + np.int16(1024), 1.0, -1024.0)
    assert (raw.source, raw.intercept) == ("header", -1024)
    real = hu >= -1500
    np.testing.assert_array_equal(to_hu(hu, decision)[real], hu[real])
    assert (to_hu(hu, decision)[~real] == -1000).all()


@pytest.mark.parametrize(
    ("shift", "noise_hu"),
    [
        (-150, 60),
        (-150, 100),
        (-200, 20),
        (-200, 60),
        (-200, 100),
        (-250, 20),
        (-250, 100),
        (-300, 60),
        (-400, 20),
    ],
)
def test_noise_does_not_excuse_a_shift(shift: int, noise_hu: int) -> None:
    random = np.random.default_rng(9)
    kind = random.choice(3, (40, 50, 60), p=[0.6, 0.3, 0.1])
    hu = np.choose(kind, [-1000, -850, 140]) + shift + random.normal(0, noise_hu, kind.shape)
    assert reason(hu.astype(np.int16)) == "not-ct"


def test_masks_bytes_and_other_modalities_are_refused() -> None:
    random = np.random.default_rng(5)
    shape = (50, 70, 90)
    mask = (random.random(shape) < 0.1).astype(np.uint8)
    labels = (random.integers(0, 118, shape) * (random.random(shape) < 0.3)).astype(np.uint8)
    photo = random.integers(0, 256, shape).astype(np.uint8)
    mri = np.abs(random.normal(300, 250, shape)).astype(np.int16)
    unit = random.uniform(-1, 1, shape).astype(np.float32)
    for values in (mask, labels, photo, mri, unit, labels * 7):
        assert reason(values) == "not-ct"
    for values in (mask, labels, photo):
        assert reason(values, hint=CT_RATE) == "not-ct"


@pytest.mark.parametrize("value", [0, -1000])
def test_one_number_throughout_is_constant(value: int) -> None:
    assert reason(np.full((5, 7, 9), value, np.int16)) == "constant"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_numbers_are_refused(chest: np.ndarray, value: float) -> None:
    values = chest.astype(np.float32)
    values[11, 13, 17] = value
    assert reason(values) == "not-finite"


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_every_number_type_and_memory_order_gives_the_same_hu(chest: np.ndarray, dtype: type) -> None:
    values = np.asfortranarray(chest.astype(dtype))
    np.testing.assert_array_equal(to_hu(values[::-1], decide(values)), chest[::-1])


ROW = {
    "RescaleSlope": "1",
    "RescaleIntercept": "-8192",
    "XYSpacing": "[0.8, 0.7]",
    "ZSpacing": "1.5",
    "ImagePositionPatient": "[-166, 9, 56.25]",
    "ImageOrientationPatient": "[1.000000, 0.000000, 0.000000, 0.000000, 1.000000, -0.000000]",
}


def test_a_metadata_row_becomes_a_hint() -> None:
    hint = hint_from_ct_rate(ROW)
    assert hint == Hint(1.0, -8192.0, (0.7, 0.8, 1.5), (-166.0, 9.0, 56.25), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


def test_missing_and_garbled_fields_count_as_unsaid() -> None:
    assert hint_from_ct_rate({}) == Hint(1.0, 0.0)
    for text in ("", "nan", "[1, 2, 3]", "[0.7]", "abc", "[0, 0]", "[-1, 1]"):
        assert hint_from_ct_rate(ROW | {"XYSpacing": text}).spacing_mm is None
    assert hint_from_ct_rate(ROW | {"ZSpacing": "0"}).spacing_mm is None
    assert hint_from_ct_rate(ROW | {"ImageOrientationPatient": "[1, 0, 0, 1, 0, 0]"}).orientation_lps is None
    assert hint_from_ct_rate(ROW | {"ImagePositionPatient": "[1, 2, inf]"}).position_lps_mm is None
    assert hint_from_ct_rate({**ROW, "RescaleSlope": None}).intercept == 0


def test_every_real_metadata_row_becomes_a_full_hint(real_data: Path) -> None:
    with (real_data / "ctrate" / "validation_metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    hints = [hint_from_ct_rate(row) for row in rows]
    assert len(hints) == 3039
    assert sorted({h.intercept for h in hints}) == [-8192, -1024]
    assert sum(h.intercept == -8192 for h in hints) == 850
    assert {h.slope for h in hints} == {1.0}
    for row, hint in zip(rows, hints, strict=True):
        assert hint.spacing_mm is not None
        assert hint.spacing_mm[2] == float(row["ZSpacing"])
        assert hint.position_lps_mm is not None
        assert hint.orientation_lps == (1, 0, 0, 0, 1, 0)


def test_a_mask_of_labels_is_called_one() -> None:
    mask = np.random.default_rng(0).integers(0, 118, (20, 20, 20)).astype(np.uint8)
    for values, said in ((mask, True), (mask * 0.5, False), (mask - 9.0, False)):
        with pytest.raises(SimcropError) as caught:
            decide(values)
        assert ("as in a mask of labels" in caught.value.sentence) == said
