"""How small the slices of a DICOM series may pack, and what no packing could hold."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]
Make = Callable[[Volume], Slices]
Save = Callable[[Path, Slices], Path]


def test_a_slice_of_one_number_is_no_torn_one_however_small_it_packs(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    large = replace(toy, hu=np.pad(toy.hu, ((0, 395), (0, 393), (0, 0)), mode="wrap"))
    large.hu[:, :, 0] = -1000.0
    slices = dicom_slices(large)
    for data in slices:
        data.compress(JPEGLSLossless, generate_instance_uid=False)
    assert 1100 * min(len(data.PixelData) for data in slices) < 2 * 400 * 400
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    np.testing.assert_array_equal(volume.to_ras().hu, large.hu)


def test_slices_that_promise_what_their_bytes_cannot_hold_are_refused_before_they_are_unpacked(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    for data in slices:
        data.Rows = data.Columns = 9000
    with pytest.raises(SimcropError) as caught:
        read_volume(save_slices(tmp_path, slices))
    assert caught.value.reason == "truncated-file"
