"""DICOM series: geometry proved from headers, pixels and rescale read slice by slice, whatever the file names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.uid import BasicTextSRStorage, RLELossless, RTStructureSetStorage, generate_uid

from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Slices = list[pydicom.FileDataset]
Make = Callable[[Volume], Slices]
Save = Callable[[Path, Slices], Path]


def refusal(path: Path) -> SimcropError:
    with pytest.raises(SimcropError) as caught:
        read_volume(path)
    assert "\n" not in caught.value.sentence
    assert "1.2.826" not in caught.value.sentence  # no UID
    return caught.value


def test_every_axis_order_comes_back_as_the_same_scan(
    tmp_path: Path,
    turned_toy: Volume,
    dicom_slices: Make,
    save_slices: Save,
    same_scan: Callable[[Volume], None],
) -> None:
    volume = read_volume(save_slices(tmp_path / "scan", dicom_slices(turned_toy)))
    assert volume.axis_codes[:2] == turned_toy.axis_codes[:2]
    same_scan(volume)
    assert volume.decision is not None
    assert (volume.decision.source, volume.decision.intercept) == ("header", -1100)


def test_files_without_a_suffix_and_without_a_preamble_are_read(
    tmp_path: Path, toy: Volume, dicom_slices: Make, same_scan: Callable[[Volume], None]
) -> None:
    for i, data in enumerate(dicom_slices(toy)):
        if i % 2:
            data.save_as(tmp_path / f"IM{i}", enforce_file_format=True)
        else:
            pydicom.dcmwrite(
                tmp_path / f"{i}.dcm", pydicom.Dataset(data), implicit_vr=True, little_endian=True
            )
            assert (tmp_path / f"{i}.dcm").read_bytes()[128:132] != b"DICM"
    same_scan(read_volume(tmp_path))


def test_reports_structure_sets_and_scouts_in_the_folder_are_left_out(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    report, structures, scout = dicom_slices(toy)[:3]
    report.SOPClassUID, report.Modality = BasicTextSRStorage, "SR"
    structures.SOPClassUID, structures.Modality = RTStructureSetStorage, "RTSTRUCT"
    for data in (report, structures):
        del data.PixelData, data.Rows, data.ImagePositionPatient
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    slices = [*dicom_slices(toy), report, structures, scout]
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "notes.txt").write_text("not DICOM")
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    same_scan(volume)
    assert volume.notes == ("DICOM files left out because they are no CT slice: 3",)


def test_a_scout_of_one_word_and_what_a_mac_leaves_are_no_slices(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    scout = dicom_slices(toy)[2]
    scout.ImageType = "LOCALIZER"
    folder = save_slices(tmp_path / "scan", [*dicom_slices(toy), scout])
    (folder / "._1.dcm").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + b"\0" * 300)
    volume = read_volume(folder)
    same_scan(volume)
    assert volume.notes == ("DICOM files left out because they are no CT slice: 1",)


def test_each_slice_may_have_its_own_rescale(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    slices = dicom_slices(toy)
    slices[4].RescaleIntercept, slices[4].PixelData = -1099, minus_one(slices[4])
    volume = read_volume(save_slices(tmp_path / "scan", slices))
    same_scan(volume)
    assert "own header" in volume.notes[0]


def minus_one(data: pydicom.FileDataset) -> bytes:
    return (data.pixel_array - 1).astype(np.uint16).tobytes()


def test_rle_and_jpeg_compressed_pixels_are_read(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save, same_scan: Callable[[Volume], None]
) -> None:
    plain = save_slices(tmp_path / "plain", dicom_slices(toy))
    slices = dicom_slices(toy)
    for data in slices:
        data.compress(RLELossless, generate_instance_uid=False)
    same_scan(read_volume(save_slices(tmp_path / "rle", slices)))

    (tmp_path / "jpeg").mkdir()
    for path in plain.iterdir():
        jpeg_lossless(path, tmp_path / "jpeg" / path.name)
    name = pydicom.dcmread(next((tmp_path / "jpeg").iterdir())).file_meta.TransferSyntaxUID.name
    assert "JPEG Lossless" in name
    same_scan(read_volume(tmp_path / "jpeg"))


def jpeg_lossless(source: Path, target: Path) -> None:
    reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(source))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def test_missing_slices_are_refused_with_their_numbers(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    one = refusal(save_slices(tmp_path / "one", slices[:3] + slices[4:]))
    two = refusal(save_slices(tmp_path / "two", slices[:4] + slices[6:]))
    assert one.reason == two.reason == "missing-slices"
    assert "slice 4 missing" in one.sentence
    assert "slices 5-6 missing" in two.sentence


def test_duplicated_slices_are_refused_with_their_numbers(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    again = dicom_slices(toy)[2]
    again.SeriesInstanceUID, again.InstanceNumber = slices[0].SeriesInstanceUID, 10
    error = refusal(save_slices(tmp_path / "scan", [*slices, again]))
    assert error.reason == "duplicate-slices"
    assert "3 and 10" in error.sentence or "10 and 3" in error.sentence


def test_two_equal_series_in_one_folder_are_refused_with_their_counts(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    error = refusal(save_slices(tmp_path / "scan", dicom_slices(toy) + dicom_slices(toy)))
    assert error.reason == "several-series"
    assert "2 CT series" in error.sentence
    assert "9 and 9" in error.sentence


def moved(slices: Slices, z: int, mm: tuple[float, float, float]) -> None:
    slices[z].ImagePositionPatient = [
        float(a) + b for a, b in zip(slices[z].ImagePositionPatient, mm, strict=True)
    ]


def test_unequal_distances_are_refused_and_rounded_ones_are_not(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    moved(slices, 4, (0, 0, 0.04))
    np.testing.assert_array_equal(read_volume(save_slices(tmp_path / "rounded", slices)).to_ras().hu, toy.hu)
    moved(slices, 4, (0, 0, 0.5))
    assert refusal(save_slices(tmp_path / "uneven", slices)).reason == "irregular-slices"


def test_distances_that_drift_within_the_tolerance_of_one_step_are_refused(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(replace(toy, hu=np.tile(toy.hu, (1, 1, 4))))
    for z in range(36):
        moved(slices, z, (0, 0, 0.03 * (18 - abs(z - 18))))  # steps of 1.33 mm, then of 1.27 mm
    error = refusal(save_slices(tmp_path / "scan", slices))
    assert error.reason == "irregular-slices"
    assert "distances drift" in error.sentence


def test_a_tilted_stack_is_refused(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    for z in range(9):
        moved(slices, z, (0, 0.06 * z, 0))
    error = refusal(save_slices(tmp_path / "scan", slices))
    assert error.reason == "tilted-slices"
    assert "0.48 mm" in error.sentence


def other_size(data: pydicom.FileDataset) -> None:
    data.Rows, data.PixelData = data.Rows - 1, data.PixelData[: -2 * data.Columns]


CHANGES: list[tuple[str, Callable[[pydicom.FileDataset], None]]] = [
    ("mixed-geometry", other_size),
    ("mixed-geometry", lambda d: setattr(d, "PixelSpacing", [0.9, 0.8])),
    ("mixed-geometry", lambda d: setattr(d, "ImageOrientationPatient", [-1, 0, 0, 0, 1, 0])),
    ("missing-geometry", lambda d: delattr(d, "ImagePositionPatient")),
    ("missing-geometry", lambda d: setattr(d, "ImageOrientationPatient", None)),
    ("missing-geometry", lambda d: delattr(d, "PixelSpacing")),
    ("not-monochrome2", lambda d: setattr(d, "PhotometricInterpretation", "MONOCHROME1")),
    ("multi-frame", lambda d: setattr(d, "NumberOfFrames", 3)),
    ("truncated-file", lambda d: delattr(d, "PixelData")),
    ("truncated-file", lambda d: setattr(d, "PixelData", d.PixelData[:-20])),
]


@pytest.mark.parametrize(("reason", "change"), CHANGES, ids=range(len(CHANGES)))
def test_one_unsound_slice_is_refused(
    tmp_path: Path,
    toy: Volume,
    reason: str,
    change: Callable[[pydicom.FileDataset], None],
    dicom_slices: Make,
    save_slices: Save,
) -> None:
    slices = dicom_slices(toy)
    change(slices[5])
    assert refusal(save_slices(tmp_path / "scan", slices)).reason == reason


def test_a_header_value_of_a_wrong_length_is_refused(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    folder = save_slices(tmp_path / "scan", dicom_slices(toy))
    victim = sorted(folder.iterdir())[2]
    rows = b"\x28\x00\x10\x00US"  # the tag of Rows, then two bytes of length and two of value
    start = victim.read_bytes().index(rows)
    block = victim.read_bytes()
    victim.write_bytes(block[:start] + rows + b"\x03\x00\x07\x00\x00" + block[start + 10 :])
    assert refusal(folder).reason == "unreadable"


def test_a_sheared_orientation_is_refused(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    for data in slices:
        data.ImageOrientationPatient = [1, 0, 0, 0.1, 0.995, 0]
    assert refusal(save_slices(tmp_path / "scan", slices)).reason == "bad-orientation"


def test_a_file_cut_off_is_refused(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    folder = save_slices(tmp_path / "scan", dicom_slices(toy))
    victim = sorted(folder.iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:-25])
    error = refusal(folder)
    assert error.reason == "truncated-file"
    assert victim.name in error.sentence


def test_a_folder_without_ct_and_a_single_slice_are_refused(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    (tmp_path / "none").mkdir()
    assert refusal(tmp_path / "none").reason == "no-scan"
    slices = dicom_slices(toy)
    single = save_slices(tmp_path / "single", slices[:1])
    assert refusal(single).reason == "not-3d"
    assert refusal(next(single.iterdir())).reason == "not-3d"
    for data in slices:
        data.Modality = "MR"
    error = refusal(save_slices(tmp_path / "mr", slices))
    assert error.reason == "not-ct"
    assert "MR" in error.sentence


def test_no_patient_value_reaches_a_refusal(
    tmp_path: Path, toy: Volume, dicom_slices: Make, save_slices: Save
) -> None:
    slices = dicom_slices(toy)
    for data in slices:
        data.PatientName, data.PatientID, data.SeriesInstanceUID = "Doe^Jane", "MRN-4711", generate_uid()
    error = refusal(save_slices(tmp_path / "scan", slices))
    assert error.reason == "several-series"
    assert "Doe" not in error.sentence
    assert "4711" not in error.sentence
