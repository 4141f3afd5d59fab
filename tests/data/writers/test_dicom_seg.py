"""DICOM SEG of real series, read back by highdicom and by pydicom alone: the same voxels over the same slices.

Axes: labels `(x, y, z)` as the reader has them; frames `(rows, columns)`; highdicom counts in LPS mm.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from simcrop.data.readers import read_volume
from simcrop.data.readers.series_headers import is_series, series_headers
from simcrop.data.volume import Volume
from simcrop.data.writers.dicom_seg import as_dicom_seg
from simcrop.errors import SimcropError

NAMES = ("left lung", "spleen", "something else", "block")
LUNG, SOMETHING, BLOCK = 1, 3, 4
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MODEL = "0123456789abcdef" * 4
SERIES = ["lung_dx_a0001_dicom", "cip_ct64/ct-64Dicom"]


@dataclass(frozen=True, eq=False)
class Written:
    folder: Path
    volume: Volume
    labels: np.ndarray
    content: bytes


@pytest.fixture(scope="module", params=SERIES)
def written(request: pytest.FixtureRequest, real_data: Path) -> Written:
    """Air inside and outside, dense bone, and a block that lies off the middle along each axis; no spleen."""
    folder = real_data / "ct" / request.param
    volume = read_volume(folder)
    labels = np.zeros(volume.shape, np.int16)
    labels[volume.hu < -600] = LUNG
    labels[volume.hu > 250] = SOMETHING
    x, y, _ = volume.shape
    labels[x // 8 : x // 4, y // 2 : y // 2 + 9, 3:5] = BLOCK
    content = as_dicom_seg(labels, NAMES, series_headers(folder), MODEL)
    return Written(folder, volume, labels, content)


def test_highdicom_reads_every_voxel_where_it_lies_in_the_patient(written: Written) -> None:
    read = hd.seg.segread(io.BytesIO(written.content))
    found = read.get_volume(combine_segments=True, rescale_fractional=False)
    # It counts slices first, from either end: both grids are compared in mm.
    to_grid = np.linalg.inv(written.volume.affine) @ LPS @ found.affine
    np.testing.assert_allclose(np.abs(to_grid[:3, :3]), np.fliplr(np.eye(3)), atol=1e-4)
    np.testing.assert_allclose(to_grid[:3, 3], np.rint(to_grid[:3, 3]), atol=1e-3)
    lines = [
        np.rint(to_grid[axis, 2 - axis] * np.arange(found.array.shape[2 - axis]) + to_grid[axis, 3])
        for axis in range(3)
    ]
    again = np.zeros(written.volume.shape, np.int16)
    again[np.ix_(*(line.astype(int) for line in lines))] = found.array.transpose(2, 1, 0)
    np.testing.assert_array_equal(again, written.labels)


def test_frames_lie_over_the_pixels_of_the_very_file_that_they_name(written: Written) -> None:
    """Without any of our code: HU from each source file, and the threshold that made the mask."""
    sources = {s.SOPInstanceUID: s for s in map(pydicom.dcmread, sorted(written.folder.iterdir()))}
    seg = pydicom.dcmread(io.BytesIO(written.content))
    frames, seen = seg.pixel_array, set[tuple[int, str]]()
    for frame, item in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        (of,) = item.DerivationImageSequence[0].SourceImageSequence
        source = sources[of.ReferencedSOPInstanceUID]
        assert item.PlanePositionSequence[0].ImagePositionPatient == source.ImagePositionPatient
        hu = source.pixel_array * float(source.RescaleSlope) + float(source.RescaleIntercept)
        if number == LUNG:
            inside = hu[frame == 1]
            assert (inside < -600).all()
        elif number == SOMETHING:
            assert (hu[frame == 1] > 250).all()
        assert frame.any()
        seen.add((number, of.ReferencedSOPInstanceUID))
    assert len(seen) == len(frames)
    counts = {n: sum(number == n for number, _ in seen) for n in (1, 2, 3, 4)}
    assert counts == {n: int((written.labels == n).any((0, 1)).sum()) for n in (1, 2, 3, 4)}
    assert (counts[2], counts[BLOCK]) == (0, 2)


def test_it_refers_to_its_series_and_says_what_it_is(written: Written) -> None:
    seg = pydicom.dcmread(io.BytesIO(written.content))
    sources = [pydicom.dcmread(p, stop_before_pixels=True) for p in written.folder.iterdir()]
    first = sources[0]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "PatientSex"):
        assert seg[keyword].value == first[keyword].value
    assert (seg.Modality, seg.SegmentationType, seg.SegmentsOverlap) == ("SEG", "BINARY", "NO")
    assert seg.SeriesInstanceUID != first.SeriesInstanceUID
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    named = {instance.ReferencedSOPInstanceUID for instance in series.ReferencedInstanceSequence}
    assert named == {source.SOPInstanceUID for source in sources}
    lung, spleen, something, block = seg.SegmentSequence
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == list(NAMES)
    (kind,) = lung.SegmentedPropertyTypeCodeSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("39607008", "SCT")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert spleen.SegmentedPropertyTypeCodeSequence[0].CodeValue == "78961009"
    assert something.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "99SIMCROP"
    assert lung.SegmentAlgorithmType == "AUTOMATIC"
    assert block.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters == f"model={MODEL}"


def test_a_mask_without_a_voxel_is_a_file_that_says_so(written: Written) -> None:
    nothing = np.zeros_like(written.labels)
    content = as_dicom_seg(nothing, NAMES, series_headers(written.folder), MODEL)
    read = hd.seg.segread(io.BytesIO(content))
    assert read.number_of_segments == 4
    assert read.NumberOfFrames == 4
    assert not np.asarray(read.pixel_array).any()
    assert set(read.segment_numbers) == {1, 2, 3, 4}


Make = Callable[[Volume], list[pydicom.FileDataset]]


def test_of_two_series_in_a_folder_it_is_on_the_one_that_was_read(
    tmp_path: Path,
    toy: Volume,
    dicom_slices: Make,
    toy_series: list[pydicom.FileDataset],
    save_slices: Callable[..., Path],
) -> None:
    other = dicom_slices(Volume(toy.hu[:, :, ::2], toy.affine @ np.diag([1.0, 1.0, 2.0, 1.0])))
    for one in other:
        one.StudyInstanceUID = toy_series[0].StudyInstanceUID
    folder = save_slices(tmp_path / "scan", [*other, *toy_series])
    volume = read_volume(folder)
    assert volume.shape == toy.shape
    headers = series_headers(folder)
    assert [h.SOPInstanceUID for h in headers] == [s.SOPInstanceUID for s in toy_series]
    labels = (volume.hu > 0).astype(np.int16)
    seg = hd.seg.segread(io.BytesIO(as_dicom_seg(labels, ("liver",), headers, MODEL)))
    found = seg.get_pixels_by_source_instance([s.SOPInstanceUID for s in toy_series])
    np.testing.assert_array_equal(found[..., 0].transpose(2, 1, 0), labels)
    assert (seg.PatientID, seg.StudyID) == ("", "")


def test_the_same_mask_gets_the_same_ids_and_another_one_others(
    toy_series: list[pydicom.FileDataset], toy: Volume
) -> None:
    labels = (toy.hu > 0).astype(np.int16)

    def ids(mask: np.ndarray) -> tuple[str, str]:
        seg = pydicom.dcmread(io.BytesIO(as_dicom_seg(mask, ("liver",), toy_series, MODEL)))
        return seg.SeriesInstanceUID, seg.SOPInstanceUID

    series, instance = ids(labels)
    assert ids(labels.copy()) == (series, instance)
    assert ids(np.zeros_like(labels)) == (series, ids(np.zeros_like(labels))[1])
    assert ids(np.zeros_like(labels))[1] != instance


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("FrameOfReferenceUID", None),
        ("StudyInstanceUID", "2.25.1"),
        ("SOPInstanceUID", ""),
        ("Rows", 8),
    ],
)
def test_a_series_that_a_seg_cannot_refer_to_is_told_in_one_line_without_its_values(
    toy_series: list[pydicom.FileDataset], toy: Volume, keyword: str, value: str | None
) -> None:
    if value is None:
        del toy_series[0][keyword]
    else:
        setattr(toy_series[0], keyword, value)
    with pytest.raises(SimcropError) as caught:
        as_dicom_seg(np.zeros(toy.shape, np.int16), ("liver",), toy_series, MODEL)
    assert caught.value.reason == "no-dicom-seg"
    assert "2.25" not in caught.value.sentence
    assert "1.2.826" not in caught.value.sentence


def test_what_was_read_from_dicom_is_known(tmp_path: Path, real_data: Path) -> None:
    assert is_series(real_data / "ct" / SERIES[0])
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "a.zip").touch()
    assert not is_series(tmp_path / "a.nii.gz")
    assert is_series(tmp_path / "a.zip")
