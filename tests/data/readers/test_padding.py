"""Told padding: voxels by which a DICOM header says that nothing was measured become air, and no other ones do.

Axes: x, y, z with 20, 24, 6 voxels; the first three columns of each slice are padding, HU are checked by hand.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from simcrop.data.ingest.streamed import read_resampled
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume

Slices = list[pydicom.FileDataset]
Make = Callable[[Volume], Slices]
Save = Callable[[Path, Slices], Path]
VALUE, LIMIT = 0x00280120, 0x00280121


@pytest.fixture(scope="module")
def chest() -> Volume:
    """Air outside, lung, soft tissue, a piece of bone; nothing below -1024."""
    random = np.random.default_rng(3)
    hu = np.choose(random.choice(3, (20, 24, 6)), [-960, -850, 40]) + random.integers(-60, 60, (20, 24, 6))
    hu[10:12, 10:12, 2] = 900
    return Volume(hu.astype(np.float32), np.diag([0.7, 0.9, 1.3, 1.0]))


def stored(
    slices: Slices,
    chest: Volume,
    padding: int | None,
    told: Any,
    limit: Any = None,
    vr: str = "US",
    signed: bool = False,
    bits: int = 16,
    intercept: float = -1024.0,
    slope: float = 1.0,
    where: Any = np.s_[:, :3],
) -> Slices:
    """The chest with other numbers where padding is; `where` are rows and columns."""
    for z, data in enumerate(slices):
        pixels = np.round((chest.hu[:, :, z].T - intercept) / slope).astype(np.int64)
        if padding is not None:
            pixels[where] = padding
        data.PixelRepresentation, data.BitsStored, data.HighBit = int(signed), bits, bits - 1
        data.RescaleSlope, data.RescaleIntercept = slope, intercept
        data.PixelData = (pixels & 0xFFFF).astype(np.uint16).tobytes()
        for tag, value in ((VALUE, told), (LIMIT, limit)):
            if value is not None:
                data.add_new(tag, vr, value)
    return slices


CASES: dict[str, dict[str, Any]] = {
    "unsigned -2000": {"padding": 63536, "told": 63536},
    "unsigned -1": {"padding": 65535, "told": 65535},
    "unsigned told as signed": {"padding": 63536, "told": -2000, "vr": "SS"},
    "signed": {"padding": 32767, "told": 32767, "vr": "SS", "signed": True, "intercept": 0},
    "signed told as unsigned": {"padding": -2000, "told": 63536, "signed": True, "intercept": 0},
    "signed -2000": {"padding": -2000, "told": -2000, "vr": "SS", "signed": True},
    "of more bits than stored": {"padding": 63536, "told": 63536, "bits": 12},
    "as dense as metal": {"padding": 4095, "told": 4095, "bits": 12},
    "as dense as water": {"padding": 0, "told": 0, "vr": "SS", "signed": True, "intercept": 0},
    "a range": {"padding": 64000, "told": 63536, "limit": 65535},
    "a range the other way": {"padding": 64000, "told": 65535, "limit": 63536},
    "a range below air": {
        "padding": -1250,
        "told": -2000,
        "limit": -1100,
        "vr": "SS",
        "signed": True,
        "intercept": 0,
    },
    "bytes": {"padding": 63536, "told": b"\x30\xf8", "vr": "UN"},
    "twice": {"padding": 63536, "told": [63536, 63536]},
    "another slope": {"padding": 65535, "told": 65535, "slope": 0.5},
    "a slope that lifts everything": {"padding": 65535, "told": 65535, "slope": 0.05, "intercept": -1100},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_told_padding_becomes_air_and_every_other_voxel_is_as_pydicom_has_it(
    tmp_path: Path, chest: Volume, case: dict[str, Any], dicom_slices: Make, save_slices: Save
) -> None:
    slices = stored(dicom_slices(chest), chest, **case)
    expected = np.stack([d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in slices]).T
    folder = save_slices(tmp_path / "scan", slices)
    ras = read_volume(folder).to_ras().hu
    assert (ras[:3] == -1000).all()
    np.testing.assert_allclose(ras[3:], expected[3:], atol=1e-3)
    np.testing.assert_allclose(ras[3:], chest.hu[3:], atol=0.5)
    made = read_resampled(folder, (0.7, 0.9, 1.3))
    np.testing.assert_allclose(made.volume.hu, ras, atol=0.01)


def test_metal_as_dense_as_the_told_padding_stays_and_is_counted(
    tmp_path: Path, chest: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    hu = chest.hu.copy()
    hu[9:12, 9:12, 3] = 3071
    corners = np.ix_([0, -1], [0, -1])
    slices = stored(dicom_slices(chest), replace(chest, hu=hu), 4095, 4095, where=corners)
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    ras = volume.to_ras().hu
    assert (ras[9:12, 9:12, 3] == 3071).all()
    assert (ras[np.ix_([0, -1], [0, -1])] == -1000).all()
    assert "9 voxels equal PixelPaddingValue (4095) amid the picture and are kept" in volume.notes


def test_water_at_the_edge_that_chance_made_equal_to_told_padding_stays(
    tmp_path: Path, chest: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    signed: dict[str, Any] = {"vr": "SS", "signed": True, "intercept": 0}
    slices = stored(dicom_slices(chest), chest, 7, 7, where=np.s_[5:8, 0], **signed)
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    assert (volume.to_ras().hu[0, 5:8] == 7).all()


def test_a_range_that_covers_tissue_is_not_believed(
    tmp_path: Path, chest: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = stored(dicom_slices(chest), chest, None, 0, limit=1500)
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    np.testing.assert_array_equal(volume.to_ras().hu, chest.hu)
    assert "is not believed" in volume.notes[0]


@pytest.mark.parametrize("told", [0, 24, 100])
def test_told_padding_that_is_air_already_changes_no_voxel(
    tmp_path: Path, chest: Volume, told: int, dicom_slices: Make, save_slices: Save
) -> None:
    slices = stored(dicom_slices(chest), chest, told, told)
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    assert (volume.to_ras().hu[:3] == told - 1024).all()
    assert volume.notes == ()


def test_a_slice_that_tells_no_padding_has_that_of_all_others(
    tmp_path: Path, chest: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = stored(dicom_slices(chest), chest, 63536, 63536)
    del slices[2].PixelPaddingValue
    for data in slices[3:]:
        data.compress(RLELossless, generate_instance_uid=False)
    ras = read_volume(save_slices(tmp_path / "scan", slices)).to_ras().hu
    assert (ras[:3] == -1000).all()
    np.testing.assert_array_equal(ras[3:], chest.hu[3:])


def test_padding_of_slices_with_a_rescale_each_becomes_air(
    tmp_path: Path, chest: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(chest)
    for z, data in enumerate(slices):
        stored([data], replace(chest, hu=chest.hu[:, :, z:]), 65000 + z, 65000 + z, intercept=-1024.0 - z)
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    ras = volume.to_ras().hu
    assert (ras[:3] == -1000).all()
    np.testing.assert_array_equal(ras[3:], chest.hu[3:])
    assert "12.50% of voxels" not in volume.notes[0]
    assert "15.00% of voxels are padding" in volume.notes[1]


@pytest.mark.parametrize("told", [None, "", "no number"])
def test_padding_without_a_number_counts_as_unsaid(
    tmp_path: Path, chest: Volume, told: object, dicom_slices: Make, save_slices: Save
) -> None:
    slices = stored(dicom_slices(chest), chest, None, None)
    for data in slices:
        data.add_new(VALUE, "LO", told)
    np.testing.assert_array_equal(read_volume(save_slices(tmp_path / "scan", slices)).to_ras().hu, chest.hu)


def test_single_voxels_at_an_edge_as_dense_as_metal_are_padding(
    tmp_path: Path, chest: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = stored(dicom_slices(chest), chest, 4095, 4095, where=np.s_[5:20:3, 0])
    ras = read_volume(save_slices(tmp_path / "scan", slices)).to_ras().hu
    assert (ras[0, 5:20:3] == -1000).all()
    np.testing.assert_array_equal(ras[1:], chest.hu[1:])
