"""The root of a DICOM disc: read where its folders hold one examination, else a line that says where the scans lie."""

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from simcrop.data.layouts import list_studies
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]
Make = Callable[[Volume], Slices]
Save = Callable[[Path, Slices], Path]
Place = Callable[..., Path]


@pytest.fixture
def disc(tmp_path: Path, save_slices: Save) -> Place:
    """Folders of slices below a root that has a DICOMDIR, whatever its content: discs are copied with stale ones."""

    def place(name: str = "DICOMDIR", **folders: Slices) -> Path:
        root = tmp_path / "disc"
        for folder, slices in folders.items():
            (root / "DICOM").mkdir(parents=True, exist_ok=True)
            save_slices(root / "DICOM" / folder, slices)
        root.mkdir(exist_ok=True)
        (root / name).write_bytes(b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0\0\0\0\0")
        return root

    return place


def numbered(slices: Slices, study: str) -> Slices:
    for data in slices:
        data.StudyInstanceUID = study
    return slices


@pytest.mark.parametrize("name", ["DICOMDIR", "dicomdir", "DICOMDIR;1"])
def test_one_series_is_read_from_the_root_and_from_its_list(
    toy: Volume, name: str, disc: Place, dicom_slices: Make, same_scan: Callable[[Volume], None]
) -> None:
    slices = dicom_slices(toy)
    root = disc(name, A=slices[:4], B=slices[4:])
    for path in (root, root / name):
        volume = read_volume(path)
        same_scan(volume)
        assert volume.notes == ("the root of a DICOM disc, read from all of its folders: 2",)


def test_two_examinations_are_refused_with_the_folders_where_they_lie(
    toy: Volume, disc: Place, dicom_slices: Make
) -> None:
    root = disc(A=numbered(dicom_slices(toy), "1.2.3"), B=numbered(dicom_slices(toy), "1.2.4"))
    for path in (root, root / "DICOMDIR"):
        with pytest.raises(SimcropError) as caught:
            read_volume(path)
        assert caught.value.reason == "several-series"
        assert "DICOM/A (9 files), DICOM/B (9 files): give one of these folders" in caught.value.sentence
    listed = list_studies("folder", root).studies
    assert [study.path for study in listed] == [root / "DICOM" / "A", root / "DICOM" / "B"]
    assert listed == list_studies("folder", root / "DICOMDIR").studies


def test_a_disc_without_its_pictures_and_one_of_another_kind_say_so(
    toy: Volume, disc: Place, dicom_slices: Make
) -> None:
    with pytest.raises(SimcropError, match="nothing that its DICOMDIR lists lies below it"):
        read_volume(disc())
    slices = dicom_slices(toy)
    for data in slices:
        data.Modality = "MR"
    with pytest.raises(SimcropError, match=r"their modality is MR$"):
        read_volume(disc(A=slices, B=slices))


def test_a_folder_above_series_says_where_they_lie(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    for folder in "ABCDEFG":
        save_slices(tmp_path / folder, dicom_slices(toy)[:2])
    with pytest.raises(
        SimcropError, match=r"below it in .*, .*, .*, .*, . and some more: give one"
    ) as caught:
        read_volume(tmp_path)
    assert caught.value.reason == "no-scan"


def test_slices_beside_a_list_are_read_as_ever(
    toy: Volume, disc: Place, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    same_scan(read_volume(save_slices(disc(), dicom_slices(toy))))
