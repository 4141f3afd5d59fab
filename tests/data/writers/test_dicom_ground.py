"""Maps, regions and the report of sentences in DICOM, read back by highdicom and by pydicom alone, over real slices.

Axes: maps `(x, y, z)` as the reader has them; frames `(rows, columns)`; DICOM counts in LPS mm, ours is RAS+.
"""

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest

from simcrop.data.readers import read_volume
from simcrop.data.readers.series_headers import series_headers
from simcrop.data.volume import Volume
from simcrop.data.writers.dicom_ground import Sought, dicom_results
from simcrop.errors import SimcropError

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MODEL = "0123456789abcdef" * 4
SERIES = ["lung_dx_a0001_dicom", "cip_ct64/ct-64Dicom"]
LONG = f"A nodule of ≥ 5 mm in the left\\right lung, {'and so on ' * 9}at last."
SENTENCES = ("No effusion.", LONG)
MARKS = ("denied", "affirmed")
LEAST = 0.0125
NAMES = {"maps.pm.dcm", "regions.seg.dcm", "report.sr.dcm"}


@dataclass(frozen=True, eq=False)
class Written:
    """A series, its maps, and the files by name."""

    headers: list[pydicom.FileDataset]
    volume: Volume
    maps: list[np.ndarray]
    boxes: list[np.ndarray]
    files: dict[str, bytes]

    def read(self, name: str) -> pydicom.FileDataset:
        return pydicom.dcmread(io.BytesIO(self.files[name]))


def like(hu: np.ndarray) -> np.ndarray:
    """Almost a number of its own for each HU; nothing on some of the borders, another number of them on each."""
    values = np.float32(hu.clip(-1024, 2000) / 4096)
    for axis, (low, high) in enumerate(((2, 1), (0, 3), (1, 0))):
        line = np.moveaxis(values, axis, 0)
        line[:low] = np.nan
        line[len(line) - high :] = np.nan
    return values


def written_of(volume: Volume, headers: list[Any], least: float = LEAST, most: int = 2**30) -> Written:
    maps = [like(volume.hu), -like(volume.hu)]
    boxes = [np.array([[-40.0, 10, -200], [-16, 34, -176]]), np.array([[0.0, 1, 2], [3, 5, 7]])]
    for box in boxes:  # somewhere in the scan
        box += volume.affine[:3, :3] @ (np.array(volume.shape) / 2) + volume.affine[:3, 3]
    sought = [
        Sought(words, mark, lambda values=values: values, least * (1 - 3 * i), 0.5 - i / 8, box)
        for i, (words, mark, values, box) in enumerate(zip(SENTENCES, MARKS, maps, boxes, strict=True))
    ]
    return Written(
        headers, volume, maps, boxes, dict(dicom_results(sought, volume.affine, headers, MODEL, most))
    )


@pytest.fixture(scope="module", params=SERIES)
def written(request: pytest.FixtureRequest, real_data: Path, few_slices: Callable[[Path], Path]) -> Written:
    folder = few_slices(real_data / "ct" / request.param)
    return written_of(read_volume(folder), series_headers(folder))


def placed(frame: Any, shared: Any) -> np.ndarray:
    """Of one frame, with nothing but what it says: (column, row, 0, 1) -> LPS mm."""
    orientation = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3))
    down, across = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = orientation[0] * across, orientation[1] * down
    affine[:3, 3] = frame.PlanePositionSequence[0].ImagePositionPatient
    return affine


def over_the_scan(found: Any, volume: Volume) -> Iterator[tuple[Any, int]]:
    """Each frame's own words, and the slice of the scan whose voxels it holds column by column and row by row."""
    shared = found.SharedFunctionalGroupsSequence[0]
    for item in found.PerFrameFunctionalGroupsSequence:
        to_scan = np.linalg.inv(volume.affine) @ LPS @ placed(item, shared)
        np.testing.assert_allclose(to_scan[:3, :2], np.eye(3)[:, :2], atol=1e-4)
        np.testing.assert_allclose(to_scan[:2, 3], 0, atol=1e-3)
        z = round(to_scan[2, 3])
        assert to_scan[2, 3] == pytest.approx(z, abs=1e-2)
        yield item, z


def test_each_value_of_the_map_lies_at_its_voxel(written: Written) -> None:
    """By pydicom alone: where the frame says it lies, the scan's reader has the same value."""
    found = written.read("maps.pm.dcm")
    frames = np.frombuffer(found.FloatPixelData, np.float32).reshape(-1, found.Rows, found.Columns)
    seen = set[tuple[str, int]]()
    for frame, (item, z) in zip(frames, over_the_scan(found, written.volume), strict=True):
        (mapping,) = item.RealWorldValueMappingSequence
        number = int(mapping.LUTLabel.removeprefix("sentence "))
        expected = np.nan_to_num(written.maps[number - 1][:, :, z], nan=-2.0)
        np.testing.assert_array_equal(frame.T, expected)
        assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
        (of,) = item.DerivationImageSequence[0].SourceImageSequence
        assert of.ReferencedSOPInstanceUID == written.headers[z].SOPInstanceUID
        assert written.headers[z].ImagePositionPatient == item.PlanePositionSequence[0].ImagePositionPatient
        seen.add((mapping.LUTExplanation, z))
    assert len(seen) == 2 * written.volume.shape[2]
    assert found.FloatPixelPaddingValue == -2
    short, long = sorted({words for words, _ in seen}, key=len)
    assert (short, len(long) <= 64) == (SENTENCES[0], True)
    assert long.startswith("A nodule of ≥ 5 mm in the left/right lung, and so on")


def test_regions_lie_over_the_slices_that_they_name(written: Written) -> None:
    """By pydicom alone, over the pixels of the source files' own headers."""
    found = written.read("regions.seg.dcm")
    voxels = [0, 0]
    for frame, (item, z) in zip(found.pixel_array, over_the_scan(found, written.volume), strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        least = (LEAST, -2 * LEAST)[number - 1]
        np.testing.assert_array_equal(frame.T == 1, written.maps[number - 1][:, :, z] >= least)
        (of,) = item.DerivationImageSequence[0].SourceImageSequence
        assert of.ReferencedSOPInstanceUID == written.headers[z].SOPInstanceUID
        voxels[number - 1] += int(frame.sum())
    assert all(0 < count < written.volume.hu.size for count in voxels)
    assert found.SegmentSequence[0].SegmentLabel == SENTENCES[0]
    assert found.SegmentSequence[1].SegmentDescription == LONG.replace("\\", "/")
    assert (found.SegmentationType, found.SegmentsOverlap) == ("BINARY", "YES")


def test_highdicom_has_the_same_voxels_at_the_same_millimetres(toy: Volume, toy_series: list[Any]) -> None:
    """A file per sentence, since highdicom makes no volume of several channels."""
    written = written_of(toy, toy_series, most=1)
    assert {of.split(".")[0] for of in written.files} == {"maps", "maps_2", "regions", "regions_2", "report"}
    for name, values in zip(("maps.pm.dcm", "maps_2.pm.dcm"), written.maps, strict=True):
        found = hd.imread(io.BytesIO(written.files[name])).get_volume()
        again = on_grid(found.array, found.affine, toy)
        np.testing.assert_allclose(again, np.nan_to_num(values, nan=-2.0), atol=1e-6)
    for name, values, least in zip(
        ("regions.seg.dcm", "regions_2.seg.dcm"), written.maps, (LEAST, -2 * LEAST), strict=True
    ):
        seg = hd.seg.segread(io.BytesIO(written.files[name]))
        found = seg.get_volume(combine_segments=True)
        again = on_grid(found.array, found.affine, toy, partly=True)
        np.testing.assert_array_equal(again, values >= least)
    first, second = (written.read(name) for name in ("maps.pm.dcm", "maps_2.pm.dcm"))
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert second.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].LUTLabel == "sentence 2"


def on_grid(array: np.ndarray, affine: np.ndarray, volume: Volume, partly: bool = False) -> np.ndarray:
    """highdicom counts slices first, from either end: placed by mm."""
    to_scan = np.linalg.inv(volume.affine) @ LPS @ affine
    again = np.zeros(volume.shape)
    index = np.argwhere(np.ones(array.shape, bool))
    at = np.rint(index @ to_scan[:3, :3].T + to_scan[:3, 3]).astype(int)
    assert partly or len(np.unique(at, axis=0)) == again.size
    again[tuple(at.T)] = array.reshape(-1)
    return again


def test_the_report_says_of_each_sentence_how_near_and_where(written: Written) -> None:
    report = hd.sr.srread(io.BytesIO(written.files["report.sr.dcm"]))
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == [SENTENCES[0], LONG.replace("\\", "/")]
    seg = written.read("regions.seg.dcm")
    for i, group in enumerate(groups):
        found = {of.name.value: of.value for of in group.get_measurements()}
        low, high = LPS[:3, :3] @ written.boxes[i].T[:, 0], LPS[:3, :3] @ written.boxes[i].T[:, 1]
        for axis, letter in enumerate("XYZ"):
            assert found[f"BOX-CENTRE-{letter}"] == pytest.approx((low + high)[axis] / 2, abs=1e-3)
            assert found[f"BOX-SIZE-{letter}"] == pytest.approx(abs(high - low)[axis], abs=1e-3)
        assert found["SIMILARITY"] == 0.5 - i / 8
        voxel_ml = abs(np.linalg.det(written.volume.affine[:3, :3])) / 1000
        inside = np.count_nonzero(written.maps[i] >= (LEAST, -2 * LEAST)[i])
        assert found["118565006"] == pytest.approx(inside * voxel_ml, rel=1e-4)
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert group.referenced_segment.referenced_segment_numbers == [i + 1]
        assert group.tracking_uid == seg.SegmentSequence[i].TrackingUID


def test_the_reports_images_hold_the_middles_of_the_boxes(written: Written) -> None:
    """By pydicom alone."""
    report = written.read("report.sr.dcm")
    named = {
        of.ReferencedSOPInstanceUID
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for of in series.ReferencedSOPSequence
    }
    z_of = {header.SOPInstanceUID: z for z, header in enumerate(written.headers)}
    slices = {z_of[uid] for uid in named if uid in z_of}
    inverse = np.linalg.inv(written.volume.affine)
    expected = {round((inverse @ [*box.mean(0), 1])[2]) for box in written.boxes}
    top = written.volume.shape[2] - 1
    assert slices == {min(max(z, 0), top) for z in expected}
    assert len(named) == len(slices) + 1  # and the segmentation
    text = str(report)
    assert written.headers[0].FrameOfReferenceUID in text
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_all_say_whose_they_are_and_on_which_series_they_lie(written: Written) -> None:
    first, uids = written.headers[0], set[str]()
    assert set(written.files) == NAMES
    for name in NAMES:
        found = written.read(name)
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientSex", "StudyDate"):
            assert str(found[keyword].value) == str(first[keyword].value)
        if name != "report.sr.dcm":
            assert found.FrameOfReferenceUID == first.FrameOfReferenceUID
            (series,) = found.ReferencedSeriesSequence
            assert series.SeriesInstanceUID == first.SeriesInstanceUID
            assert len(series.ReferencedInstanceSequence) == len(written.headers)
        uids |= {found.SeriesInstanceUID, found.SOPInstanceUID}
    assert len(uids) == 6
    assert first.SeriesInstanceUID not in uids


def test_a_name_in_other_letters_and_a_sentence_in_any_stand_beside_each_other(
    toy: Volume, toy_series: list[Any]
) -> None:
    for one in toy_series:
        one.SpecificCharacterSet, one.PatientName = "ISO_IR 100", "Müller^Jörg"
    written = written_of(toy, toy_series)
    for name in NAMES:
        found = written.read(name)
        assert (found.SpecificCharacterSet, str(found.PatientName)) == ("ISO_IR 192", "Müller^Jörg")
    assert "≥" in written.read("regions.seg.dcm").SegmentSequence[1].SegmentLabel


def test_the_same_sentences_get_the_same_ids_and_other_maps_others(
    toy: Volume, toy_series: list[Any]
) -> None:
    once, again = written_of(toy, toy_series), written_of(toy, toy_series)
    other = written_of(Volume(toy.hu + 1, toy.affine), toy_series)
    for name in NAMES:
        ids = [(of.read(name).SeriesInstanceUID, of.read(name).SOPInstanceUID) for of in (once, again, other)]
        assert ids[0] == ids[1]
        assert ids[0][0] == ids[2][0]
        if name == "maps.pm.dcm":
            assert ids[0][1] != ids[2][1]


def test_a_sentence_that_is_seen_nowhere_has_a_segment_without_frames(
    toy: Volume, toy_series: list[Any]
) -> None:
    written = written_of(toy, toy_series, least=2.0)
    found = written.read("regions.seg.dcm")
    numbers = {
        item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for item in found.PerFrameFunctionalGroupsSequence
    }
    assert len(found.SegmentSequence) == 2
    assert numbers == {2}  # its threshold is -4
    report = hd.sr.srread(io.BytesIO(written.files["report.sr.dcm"]))
    first, second = report.content.get_volumetric_roi_measurement_groups()
    assert first.get_measurements()[-1].value == 0 < second.get_measurements()[-1].value


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("FrameOfReferenceUID", None), ("StudyInstanceUID", "2.25.1"), ("SOPInstanceUID", ""), ("Rows", 8)],
)
def test_a_series_to_which_nothing_can_refer_is_told_in_one_line_without_its_values(
    toy_series: list[Any], toy: Volume, keyword: str, value: str | None
) -> None:
    if value is None:
        del toy_series[0][keyword]
    else:
        setattr(toy_series[0], keyword, value)
    with pytest.raises(SimcropError) as caught:
        written_of(toy, toy_series)
    assert caught.value.reason == "no-dicom-seg"
    assert not any(uid in caught.value.sentence for uid in ("2.25", "1.2.826"))


def test_dciodvfy_finds_no_error(written: Written, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip(
            "DCIODVFY MISSING: install Debian's dicom3tools to check what is written against the standard"
        )
    for name, content in written.files.items():
        (tmp_path / name).write_bytes(content)
        ran = subprocess.run(
            ["dciodvfy", str(tmp_path / name)], capture_output=True, text=True, errors="replace", check=False
        )
        errors = [line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], name
