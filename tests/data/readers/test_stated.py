"""What the slices of one DICOM series state: all of them the same words on their numbers, or a refusal that names them.

Axes: x, y, z with 5, 7, 9 voxels, stored as HU + 1100.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from simcrop.data.guess import is_guess
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]
Make = Callable[[Volume], Slices]
Save = Callable[[Path, Slices], Path]
Change = Callable[[Slices], None]


def drop(keyword: str, *places: int) -> Change:
    def change(slices: Slices) -> None:
        for z in places or range(len(slices)):
            delattr(slices[z], keyword)

    return change


def put(keyword: str, value: object, *places: int) -> Change:
    def change(slices: Slices) -> None:
        for z in places or range(len(slices)):
            setattr(slices[z], keyword, value)

    return change


def written(tag: int, vr: str, value: str) -> Change:
    """A value that is written in another type than its tag has."""
    return lambda slices: slices[4].add_new(tag, vr, value)


def wider(slices: Slices) -> None:
    """One slice that says 12 bits and uses 13."""
    for data in slices:
        data.BitsStored, data.HighBit = 16, 15
    slices[4].BitsStored, slices[4].HighBit = 12, 11
    slices[4].PixelData = (slices[4].pixel_array + (1 << 12)).astype(np.uint16).tobytes()


def negative(slices: Slices) -> None:
    """Signed slices around one that calls the same bytes unsigned."""
    for data in slices:
        data.PixelData = (data.pixel_array.astype(np.int32) - 1100).astype(np.int16).tobytes()
        data.PixelRepresentation, data.BitsStored, data.HighBit, data.RescaleIntercept = 1, 16, 15, 0
    slices[4].PixelRepresentation = 0


REFUSED: dict[str, tuple[str, Change, str]] = {
    "no intercept": ("mixed-numbers", drop("RescaleIntercept", 4), "slice 5 of 9 without RescaleIntercept"),
    "no slope": ("mixed-numbers", drop("RescaleSlope", 0, 1), "slices 1, 2 of 9 without RescaleSlope"),
    "empty intercept": ("mixed-numbers", put("RescaleIntercept", None, 8), "slice 9 of 9 without Rescale"),
    "one states it": (
        "mixed-numbers",
        drop("RescaleIntercept", *range(1, 9)),
        "2, 3, 4, 5, 6 and 3 more of 9",
    ),
    "no sign": ("mixed-numbers", drop("PixelRepresentation", 4), "without PixelRepresentation"),
    "no bits": ("mixed-numbers", drop("BitsStored", 4), "without BitsStored"),
    "no bits at all": ("unreadable", drop("BitsStored"), "states no BitsStored"),
    "another intercept": ("mixed-numbers", put("RescaleIntercept", 0, 4), r"tear them \d+ HU apart"),
    "the first ones": ("mixed-numbers", put("RescaleIntercept", 0, 0, 1, 2), "slices 3 and 4 state rescales"),
    "another slope": ("mixed-numbers", put("RescaleSlope", 5, 4), "one of the two is wrong"),
    "another unit": ("mixed-numbers", put("RescaleType", "OD", 4), "slices 1 and 5 differ in RescaleType"),
    "other signs": ("mixed-numbers", negative, "slice 5 states unsigned numbers"),
    "more bits than stated": ("mixed-numbers", wider, "uses more bits than its BitsStored"),
    "a word for a slope": ("bad-rescale", written(0x00281053, "LO", "abc"), "unsound RescaleSlope"),
    "no number": ("bad-rescale", written(0x00281052, "LO", "nan"), "unsound RescaleIntercept"),
    "two numbers": ("bad-rescale", written(0x00281053, "DS", "1\\1"), "unsound RescaleSlope"),
    "no position": ("missing-geometry", drop("ImagePositionPatient", 4), "states no ImagePositionPatient$"),
    "no orientation": (
        "missing-geometry",
        drop("ImageOrientationPatient"),
        "states no ImageOrientationPatient, and 8 more of these 9 slices are like it$",
    ),
    "no spacing": ("missing-geometry", drop("PixelSpacing", 4), "states no PixelSpacing$"),
    "neither": (
        "missing-geometry",
        lambda s: [drop(word, 4)(s) for word in ("PixelSpacing", "Columns")] and None,
        "states no PixelSpacing and no Columns$",
    ),
    "no rows": ("missing-geometry", drop("Rows"), "states no Rows"),
    "spacing with commas": (
        "missing-geometry",
        written(0x00280030, "LO", "0,9\\0,7"),
        "unsound PixelSpacing",
    ),
    "no distance": ("missing-geometry", put("PixelSpacing", [0, 0.7], 4), "unsound PixelSpacing"),
    "half a position": (
        "missing-geometry",
        put("ImagePositionPatient", [1, 2], 4),
        "expected 3 plain numbers",
    ),
}


@pytest.mark.parametrize(("reason", "change", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_only_some_slices_state_is_refused_by_its_name(
    tmp_path: Path,
    toy: Volume,
    reason: str,
    change: Change,
    words: str,
    dicom_slices: Make,
    save_slices: Save,
) -> None:
    slices = dicom_slices(toy)
    change(slices)
    with pytest.raises(SimcropError, match=words) as caught:
        read_volume(save_slices(tmp_path / "scan", slices))
    assert caught.value.reason == reason
    assert "\n" not in caught.value.sentence


def own_rescale(slices: Slices) -> None:
    """Slopes and intercepts that differ, and numbers that make up for it."""
    for z, data in enumerate(slices):
        hu = data.pixel_array.astype(np.int64) - 1100
        data.RescaleSlope, data.RescaleIntercept = 0.5 + 0.5 * (z % 2), -1100 - 100 * z
        data.BitsStored, data.HighBit = 16, 15
        data.PixelData = ((hu + 1100 + 100 * z) / data.RescaleSlope).astype(np.uint16).tobytes()


def fewer_bits(slices: Slices) -> None:
    for data in slices[:4]:
        data.BitsStored, data.HighBit = 16, 15


def signs(slices: Slices) -> None:
    for data in slices[::2]:
        data.PixelRepresentation, data.BitsStored, data.HighBit = 1, 16, 15


READ: dict[str, Change] = {
    "a unit that some leave out": put("RescaleType", "HU", 2, 3),
    "no slope at all": drop("RescaleSlope"),
    "a number that is none": put("InstanceNumber", None),
    "a rescale each": own_rescale,
    "bits each": fewer_bits,
    "signs each": signs,
}


@pytest.mark.parametrize("change", READ.values(), ids=READ.keys())
def test_what_harms_no_number_is_read(
    tmp_path: Path,
    toy: Volume,
    change: Change,
    dicom_slices: Make,
    save_slices: Save,
    same_scan: Callable[[Volume], None],
) -> None:
    slices = dicom_slices(toy)
    change(slices)
    same_scan(read_volume(save_slices(tmp_path / "scan", slices)))


@pytest.mark.parametrize(("odd", "noted"), [((4,), True), (range(1, 9, 2), True), (range(9), False)])
def test_a_few_rescales_other_than_the_rest_are_a_note(
    tmp_path: Path, toy: Volume, odd: Iterable[int], noted: bool, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    for z in odd:
        slices[z].RescaleIntercept -= 1 + (0 if noted else z)
    notes = read_volume(save_slices(tmp_path / "scan", slices)).notes
    assert "every slice rescaled by its own header" in notes
    assert [note for note in notes if is_guess(note)] == (
        [f"assumed right the rescale of {len([*odd])} slices of 9, other than that of the rest"]
        if noted
        else []
    )


SCATTERED: dict[str, Callable[[int], dict[str, str]]] = {
    "a series each": lambda _: {"SeriesInstanceUID": generate_uid()},
    "a study each, too": lambda _: {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()},
    "a patient each, too": lambda z: {"SeriesInstanceUID": generate_uid(), "PatientID": f"MRN-{z}"},
    "a series for two": lambda z: {"SeriesInstanceUID": f"1.2.826.{z // 2}"},
}


@pytest.mark.parametrize("ids", SCATTERED.values(), ids=SCATTERED.keys())
def test_slices_with_a_series_each_get_one_short_line(
    tmp_path: Path, toy: Volume, ids: Callable[[int], dict[str, str]], dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    for z, data in enumerate(slices):
        for keyword, value in ids(z).items():
            setattr(data, keyword, value)
    with pytest.raises(SimcropError, match=r"9 CT slices bear [95] different SeriesInstanceUIDs") as caught:
        read_volume(save_slices(tmp_path / "scan", slices))
    assert caught.value.reason == "several-series"
    assert len(caught.value.sentence.removeprefix(str(tmp_path))) < 200
    assert "MRN" not in caught.value.sentence
    assert "1.2.826" not in caught.value.sentence


def test_of_many_equal_series_only_some_counts_are_shown(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = [data for _ in range(7) for data in dicom_slices(toy)[:3]]
    with pytest.raises(SimcropError, match=r"7 CT series .* with 3 and 3 and 3 and 3 and 3 and so on slices"):
        read_volume(save_slices(tmp_path / "scan", slices))
