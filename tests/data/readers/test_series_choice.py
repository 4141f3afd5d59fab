"""Several DICOM series in one folder: the stated rules choose one and say by which rule the others lost.

Axes: x, y, z with 5, 7, 9 voxels; the wanted series is always the toy itself, the other one shifted by 500 HU.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from simcrop.data.guess import shown
from simcrop.data.readers import read_volume
from simcrop.data.readers.series_choice import part_of, sharpness_of
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]
Make = Callable[[Volume], Slices]
Save = Callable[[Path, Slices], Path]


def with_header(slices: Slices, **values: object) -> Slices:
    for data in slices:
        for keyword, value in values.items():
            setattr(data, keyword, value)
    return slices


def raised(slices: Slices) -> Slices:
    """Another reconstruction: no voxel is the toy's."""
    for data in slices:
        data.PixelData = (data.pixel_array + 500).astype(np.uint16).tobytes()
    return slices


@pytest.fixture
def other(toy: Volume, dicom_slices: Make) -> Slices:
    return raised(dicom_slices(toy))


Change = Callable[[Slices], Slices]
LOSERS: list[tuple[Change, str]] = [
    (lambda s: with_header(s, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), "not across the body"),
    (lambda s: with_header(s, ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"]), "a projection"),
    (lambda s: with_header(s, BodyPartExamined="ABDOMEN"), "not said to show the chest"),
    (lambda s: s[:7], "less of the body"),
    (lambda s: s[::2], "slices farther apart"),
    (lambda s: with_header(s, ConvolutionKernel=["Br60f", "3"]), "not the softest kernel"),
    (lambda s: with_header(s, ImageType=["DERIVED", "PRIMARY", "AXIAL"]), "derived from another"),
    (lambda s: s[:8], "fewer slices"),
    (lambda s: with_header(s, SeriesNumber=4), "a later series number"),
    (lambda s: with_header(s[:1], ImagePositionPatient=[0, 0, 0]), "less of the body"),
]


@pytest.mark.parametrize(("change", "why"), LOSERS, ids=[f"{i} {why}" for i, (_, why) in enumerate(LOSERS)])
@pytest.mark.parametrize("wanted_first", [True, False])
def test_each_rule_chooses_and_is_named(
    tmp_path: Path,
    toy: Volume,
    other: Slices,
    change: Change,
    why: str,
    wanted_first: bool,
    dicom_slices: Make,
    save_slices: Save,
    same_scan: Callable[[Volume], None],
) -> None:
    wanted = with_header(
        dicom_slices(toy),
        SeriesNumber=3,
        ConvolutionKernel="B31f",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    )
    with_header(other, SeriesNumber=3, ConvolutionKernel="B31f", BodyPartExamined="CHEST")
    with_header(wanted, BodyPartExamined="CHEST")
    lost = change(other)
    volume = read_volume(save_slices(tmp_path / "scan", wanted + lost if wanted_first else lost + wanted))
    same_scan(volume)
    (note,) = volume.notes
    assert note.startswith("taken of 2 CT series is number 3 of 9 slices 1.3 mm apart, left out ")
    assert note.endswith(f"({why})")
    assert shown(note) == note  # all of it may stand where a scan is used


def test_rules_go_one_after_the_other(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    lung = with_header(raised(dicom_slices(toy)), ConvolutionKernel="LUNG")
    thick = with_header(raised(dicom_slices(toy))[::2], ConvolutionKernel="STANDARD")
    film = with_header(raised(dicom_slices(toy)), ImagePositionPatient=[0, 0, 1])
    soft = with_header(dicom_slices(toy), ConvolutionKernel="STANDARD", SeriesNumber=9)
    volume = read_volume(save_slices(tmp_path / "scan", [*lung, *thick, *film, *soft]))
    same_scan(volume)
    assert volume.notes == (
        "taken of 4 CT series is number 9 of 9 slices 1.3 mm apart, left out 9 slices (several slices at one "
        "position), 5 slices 2.6 mm apart (slices farther apart), 9 slices 1.3 mm apart (not the softest kernel)",
    )


def test_a_fault_counts_only_in_the_chosen_series(
    tmp_path: Path,
    toy: Volume,
    other: Slices,
    dicom_slices: Make,
    save_slices: Save,
    same_scan: Callable[[Volume], None],
) -> None:
    slices = with_header(dicom_slices(toy), SeriesNumber=1)
    with_header(other, SeriesNumber="2")
    del other[3].PixelSpacing
    same_scan(read_volume(save_slices(tmp_path / "good", slices + other)))
    with_header(slices, SeriesNumber=3)
    with pytest.raises(SimcropError) as caught:
        read_volume(save_slices(tmp_path / "bad", slices + other))
    assert caught.value.reason == "missing-geometry"


def test_captured_screens_are_no_slices_even_where_they_call_themselves_ct(
    tmp_path: Path, toy: Volume, other: Slices, dicom_slices: Make, save_slices: Save
) -> None:
    sheet = with_header(other[:1], SOPClassUID=SecondaryCaptureImageStorage)
    del sheet[0].ImagePositionPatient
    volume = read_volume(save_slices(tmp_path / "scan", dicom_slices(toy) + sheet))
    assert volume.notes == ("DICOM files left out because they are no CT slice: 1",)


@pytest.mark.parametrize("key", ["PatientID", "StudyInstanceUID"])
def test_series_of_two_patients_or_examinations_are_never_chosen_from(
    tmp_path: Path, toy: Volume, other: Slices, key: str, dicom_slices: Make, save_slices: Save
) -> None:
    one = with_header(dicom_slices(toy), **{key: "1.2.826.4711"})
    two = with_header(other[:4], **{key: "1.2.826.4712"})
    with pytest.raises(SimcropError, match="several patients or examinations") as caught:
        read_volume(save_slices(tmp_path / "scan", one + two))
    assert caught.value.reason == "several-series"
    assert "471" not in caught.value.sentence.removeprefix(str(tmp_path))


def test_one_series_number_for_two_patients_is_not_merged(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    with_header(slices[:5], PatientID="a")
    with_header(slices[5:], PatientID="b")
    with pytest.raises(SimcropError, match="several patients"):
        read_volume(save_slices(tmp_path / "scan", slices))


def test_studies_numbered_file_by_file_are_one_series(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    slices = dicom_slices(toy)
    for z, data in enumerate(slices):
        data.StudyInstanceUID = f"1.2.826.{z + 1}"
    same_scan(read_volume(save_slices(tmp_path / "scan", slices)))


def test_longer_scans_of_the_body_are_compared_by_their_extent(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    """One thin slab of a third of the chest does not win over the whole chest in thick slices."""
    thick = dicom_slices(replace(toy, affine=toy.affine @ np.diag([1.0, 1.0, 3.0, 1.0])))
    thin = raised(dicom_slices(toy))
    volume = read_volume(save_slices(tmp_path / "scan", thin + thick))
    assert volume.spacing_mm[2] == pytest.approx(3.9)
    assert volume.notes[0].endswith("9 slices 1.3 mm apart (less of the body)")


@pytest.mark.parametrize(
    ("kernel", "sharpness"),
    [
        (["STANDARD"], 0),
        (["SOFT"], 0),
        (["Br40f", "3"], 0),
        (["FC08"], 0),
        (["B"], 0),
        (["LUNG"], 2),
        (["BONEPLUS"], 2),
        (["Bl57d", "3"], 2),
        (["B70f"], 2),
        (["FC52"], 2),
        (["YA"], 2),
        (["C"], 1),
        ([], 1),
        (["Zz"], 1),
    ],
)
def test_kernels_of_four_vendors_are_soft_sharp_or_unknown(kernel: list[str], sharpness: int) -> None:
    assert sharpness_of(kernel) == sharpness


def test_body_parts_are_the_chest_unsaid_or_another() -> None:
    assert [part_of(text) for text in ("CHEST", "Thorax_abdomen", "", " ", "HEAD")] == [0, 0, 1, 1, 2]


def test_what_is_wrong_with_all_pictures_is_said_before_their_series(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    """Two enhanced files, each a series of its own."""
    both = with_header([dicom_slices(toy)[0], dicom_slices(toy)[1]], NumberOfFrames=9)
    with pytest.raises(SimcropError, match=r"holds many frames.*and 1 more of these 2 slices") as caught:
        read_volume(save_slices(tmp_path / "scan", both))
    assert caught.value.reason == "multi-frame"
