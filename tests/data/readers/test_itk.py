"""MetaImage and NRRD, with their voxels inside or beside the header, whole and broken."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

Writer = Callable[[Path, Volume], Path]


def refusal(path: Path) -> SimcropError:
    with pytest.raises(SimcropError) as caught:
        read_volume(path)
    assert path.name in caught.value.sentence
    assert "\n" not in caught.value.sentence
    return caught.value


@pytest.mark.parametrize("name", ["ct.mha", "ct.nrrd"])
def test_every_axis_order_comes_back_as_the_same_scan(
    tmp_path: Path, turned_toy: Volume, name: str, write_itk: Writer, same_scan: Callable[[Volume], None]
) -> None:
    volume = read_volume(write_itk(tmp_path / name, turned_toy))
    assert volume.axis_codes == turned_toy.axis_codes
    np.testing.assert_array_equal(volume.hu, turned_toy.hu)
    same_scan(volume)


@pytest.mark.parametrize("name", ["ct.mhd", "ct.nhdr"])
def test_voxels_beside_the_header_are_read(
    tmp_path: Path, toy: Volume, name: str, write_itk: Writer, same_scan: Callable[[Volume], None]
) -> None:
    same_scan(read_volume(write_itk(tmp_path / name, toy)))
    assert len(list(tmp_path.iterdir())) == 2


def test_nrrd_in_ras_space_is_not_mirrored(
    tmp_path: Path, toy: Volume, same_scan: Callable[[Volume], None]
) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: right-anterior-superior\nsizes: 5 7 9\n"
        "space directions: (0.7,0,0) (0,0.9,0) (0,0,1.3)\nkinds: domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (-31.5,12.25,-200.75)\n\n"
    )
    voxels = toy.hu.astype("<i2").tobytes(order="F")
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + voxels)
    same_scan(read_volume(tmp_path / "ct.nrrd"))


def test_nrrd_without_a_space_is_read_with_a_note(tmp_path: Path, toy: Volume) -> None:
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 7 9\nspacings: 0.7 0.9 1.3\n"
    header += "endian: little\nencoding: raw\n\n"
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + toy.hu.astype("<i2").tobytes(order="F"))
    volume = read_volume(tmp_path / "ct.nrrd")
    assert volume.spacing_mm == (0.7, 0.9, 1.3)
    assert "guessed" in volume.notes[0]


def test_a_missing_data_file_is_named(tmp_path: Path, toy: Volume, write_itk: Writer) -> None:
    path = write_itk(tmp_path / "ct.mhd", toy)
    (tmp_path / "ct.raw").unlink()
    error = refusal(path)
    assert error.reason == "missing-file"
    assert "ct.raw" in error.sentence


def test_an_empty_data_file_is_named(tmp_path: Path, toy: Volume, write_itk: Writer) -> None:
    path = write_itk(tmp_path / "ct.mhd", toy)
    (tmp_path / "ct.raw").write_bytes(b"")
    assert refusal(path).reason == "empty-file"


@pytest.mark.parametrize("name", ["ct.mhd", "ct.mha", "ct.nrrd", "ct.nhdr"])
def test_voxels_cut_short_are_refused(tmp_path: Path, toy: Volume, name: str, write_itk: Writer) -> None:
    path = write_itk(tmp_path / name, toy)
    data = next(p for p in tmp_path.iterdir() if p != path) if name in ("ct.mhd", "ct.nhdr") else path
    data.write_bytes(data.read_bytes()[:-30])
    assert refusal(path).reason == "truncated-file"


@pytest.mark.parametrize("cut", [30, 4])
def test_compressed_voxels_cut_short_are_refused(tmp_path: Path, toy: Volume, cut: int) -> None:
    image = sitk.GetImageFromArray(np.ascontiguousarray(toy.hu.astype(np.int16).T))
    for name in ("ct.mha", "ct.nrrd"):
        path = tmp_path / name
        sitk.WriteImage(image, str(path), useCompression=True)
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        assert refusal(path).reason == "truncated-file"
        path.write_bytes(whole[:-cut] + bytes([whole[-cut] ^ 1]) + whole[-cut:][1:])
        assert refusal(path).reason in ("corrupt-file", "truncated-file")
        path.write_bytes(whole)
        assert read_volume(path).shape == (5, 7, 9)


def test_an_empty_line_does_not_hide_the_data_file(tmp_path: Path, toy: Volume, write_itk: Writer) -> None:
    path = write_itk(tmp_path / "ct.mhd", toy)
    path.write_text(
        path.read_text().replace("ElementDataFile", "\n\nElementDataFile").replace("ct.raw", "/ct.raw")
    )
    assert refusal(path).reason == "unsafe-path"


@pytest.mark.parametrize("place", ["../ct.raw", "/etc/hostname", "LIST", "slice%03d.raw 1 9 1"])
def test_a_header_cannot_reach_outside_its_folder(
    tmp_path: Path, toy: Volume, place: str, write_itk: Writer
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_itk(folder / "ct.mhd", toy)
    (folder / "ct.raw").rename(tmp_path / "ct.raw")
    path.write_text(path.read_text().replace("= ct.raw", f"= {place}"))
    assert refusal(path).reason == ("unsafe-path" if "/" in place else "unknown-format")


def test_other_bytes_are_no_image(tmp_path: Path) -> None:
    for name in ("ct.mhd", "ct.mha", "ct.nrrd"):
        (tmp_path / name).write_bytes(b"\x00\xff a report, not a scan" * 9)
        assert refusal(tmp_path / name).reason == "unreadable"


def test_two_axes_and_colours_are_refused(tmp_path: Path) -> None:
    flat = sitk.GetImageFromArray(np.zeros((5, 7), np.int16))
    colour = sitk.GetImageFromArray(np.zeros((9, 7, 5, 3), np.uint8), isVector=True)
    for name, image, reason in (("flat.mha", flat, "not-3d"), ("colour.nrrd", colour, "not-scalar")):
        sitk.WriteImage(image, str(tmp_path / name))
        assert refusal(tmp_path / name).reason == reason


def test_absurd_sizes_are_refused_before_allocating(tmp_path: Path, toy: Volume, write_itk: Writer) -> None:
    path = write_itk(tmp_path / "ct.mhd", toy)
    text = path.read_text()
    path.write_text(text.replace("DimSize = 5 7 9", "DimSize = 30000 30000 30000"))
    assert refusal(path).reason == "absurd-size"
    path.write_text(text.replace("DimSize = 5 7 9", "DimSize = 900 900 900"))
    assert refusal(path).reason == "truncated-file"
