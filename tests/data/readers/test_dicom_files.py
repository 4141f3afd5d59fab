"""DICOM files of a series that are torn, or lie there twice.

Axes: x, y, z with 5, 7, 9 voxels, one file per z.
"""

import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]
Make = Callable[[Volume], Slices]
Save = Callable[[Path, Slices], Path]


def refusal(path: Path) -> SimcropError:
    with pytest.raises(SimcropError) as caught:
        read_volume(path)
    return caught.value


def test_a_copy_of_a_slice_is_left_out_and_another_slice_of_its_number_is_called_by_its_file(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    slices = dicom_slices(toy)
    volume = read_volume(save_slices(tmp_path / "copied", [*slices, slices[2], slices[5]]))
    same_scan(volume)
    assert volume.notes == ("DICOM files left out because each is a copy of another: 2",)
    error = refusal(save_slices(tmp_path / "edited", [*slices, edited(slices[2])]))
    assert error.reason == "duplicate-slices"
    assert "996_2.dcm" in error.sentence
    assert "997_9.dcm" in error.sentence


def edited(slice: pydicom.FileDataset) -> pydicom.FileDataset:
    """The same in all but one voxel."""
    other = copy.deepcopy(slice)
    other.PixelData = slice.PixelData[:-2] + b"\1\0"
    return other


def test_a_slice_torn_anywhere_in_its_header_is_not_left_out_at_the_end_of_a_stack(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    folder, reasons = save_slices(tmp_path / "scan", dicom_slices(toy)), list[str]()
    last = folder / "994_8.dcm"
    whole = last.read_bytes()
    for end in range(150, whole.index(b"\xe0\x7f\x10\x00"), 11):  # where the pixels begin
        last.write_bytes(whole[:end])
        reasons.append(refusal(folder).reason)
    assert Counter(reasons)["truncated-file"] >= 5
