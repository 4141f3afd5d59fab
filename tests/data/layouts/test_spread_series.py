"""One series in several folders: parts of a stack are refused, copies of it and what only bears its name are not.

Axes: x, y, z with 5, 7, 9 voxels; nine slices, 1.3 mm apart.
"""

import copy
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from simcrop.data.layouts import list_studies
from simcrop.data.volume import Volume

Slices = list[pydicom.FileDataset]
Folders = dict[str, Slices]


@pytest.fixture
def whole(toy: Volume, dicom_slices: Callable[[Volume], Slices]) -> Slices:
    return dicom_slices(toy)


@pytest.fixture
def refused(tmp_path: Path, save_slices: Callable[[Path, Slices], Path]) -> Callable[[Folders], set[str]]:
    """The ids that are no scans for the reason in question."""

    def list_them(folders: Folders) -> set[str]:
        for name, slices in folders.items():
            save_slices(tmp_path / name, slices)
        listing = list_studies("folder", tmp_path)
        ids = {refusal.name for refusal in listing.refusals if refusal.reason == "spread-series"}
        assert {study.id for study in listing.studies} == {*folders} - ids
        return ids

    return list_them


def other(slices: Slices, **values: object) -> Slices:
    """Another scan to which a tool gave the same series."""
    made = copy.deepcopy(slices)
    for data in made:
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in values.items():
            setattr(data, keyword, value)
    return made


def moved(slices: Slices, axis: int, mm: float) -> Slices:
    made = other(slices)
    for data in made:
        position = [float(value) for value in data.ImagePositionPatient]
        position[axis] += mm
        data.ImagePositionPatient = position
    return made


def test_halves_of_a_stack_are_refused(whole: Slices, refused: Callable[[Folders], set[str]]) -> None:
    assert refused({"a": whole[:4], "b": whole[4:]}) == {"a", "b"}


def test_every_other_slice_is_a_part_and_a_lost_one_hides_nothing(
    whole: Slices, refused: Callable[[Folders], set[str]]
) -> None:
    assert refused({"a": whole[:6:2], "b": whole[1:6:2], "c": whole[7:]}) == {"a", "b", "c"}


def test_a_torn_slice_in_one_half_does_not_make_the_other_a_scan(
    whole: Slices, tmp_path: Path, save_slices: Callable[[Path, Slices], Path]
) -> None:
    for name, slices in {"a": whole[:4], "b": whole[4:]}.items():
        save_slices(tmp_path / name, slices)
    torn = sorted((tmp_path / "a").iterdir())[1]
    torn.write_bytes(torn.read_bytes()[:400])
    assert list_studies("folder", tmp_path).studies == ()


def test_copies_of_a_whole_series_stay_and_of_a_half_the_whole_one(
    whole: Slices, refused: Callable[[Folders], set[str]]
) -> None:
    assert refused({"a": whole, "b": whole}) == set()
    assert refused({"a": whole, "b": whole, "half": whole[:5]}) == {"half"}


def test_a_series_that_goes_on_in_a_folder_with_another_one_is_seen(
    whole: Slices, refused: Callable[[Folders], set[str]]
) -> None:
    before = other(whole[:2], SeriesInstanceUID="1.2.3", InstanceNumber=1)
    assert "b" in refused({"a": before + whole[:4], "b": whole[4:]})


@pytest.mark.parametrize(
    "change",
    [
        lambda s: other(s, PatientID="another"),
        lambda s: other(s, StudyInstanceUID="1.2.3"),
        lambda s: other(s, SeriesInstanceUID="1.2.3"),
        lambda s: moved(s, 0, 3.0),  # another field of view
        lambda s: moved(s, 2, 200.0),  # far along the body
        lambda s: moved(s, 2, 0.4),  # between the others' slices, and not evenly
        lambda s: other(s, PixelSpacing=[0.8, 0.8]),
    ],
)
def test_what_only_bears_the_name_of_a_series_stays(
    whole: Slices, refused: Callable[[Folders], set[str]], change: Callable[[Slices], Slices]
) -> None:
    assert refused({"a": whole[:5], "b": change(whole[4:])}) == set()


def test_two_pictures_at_one_place_are_of_two_scans(
    whole: Slices, refused: Callable[[Folders], set[str]]
) -> None:
    assert refused({"a": whole[:6], "b": other(whole[3:])}) == set()
