"""Headers that once crashed, misled or silenced a reader; kept so that none does again.

Axes: those of `scans`.
"""

import gzip
import io
import os
import struct
import zipfile
from pathlib import Path

from scans import SCANS, Scan
from traps import TRAPS, patched, plain_nifti, text, trap

__all__ = ["TRAPS"]


@trap("unsafe-path")
def nrrd_that_names_a_system_file(folder: Path) -> Path:
    return text("nhdr", ("data file: ct.raw", "data file: /etc/passwd")).write(folder)


@trap("unsafe-path")
def nrrd_that_climbs_out(folder: Path) -> Path:
    return text("nhdr", ("data file: ct.raw", "DataFile: ../ct.raw")).write(folder)


@trap("missing-file")
def nrrd_whose_voxels_come_from_the_keyboard(folder: Path) -> Path:
    return text("nhdr", ("data file: ct.raw", "data file: -")).write(folder)


@trap("unreadable")
def nrrd_with_an_endless_word(folder: Path) -> Path:
    """A segmentation fault in ITK's parser."""
    return text("nhdr", ("space directions: ", "space directions: " + "9" * 5000)).write(folder)


@trap("unreadable")
def metaimage_that_names_a_second_file_with_a_colon(folder: Path) -> Path:
    """ITK's parser takes a colon for an equals sign, so that it reads another file than the one that was checked."""
    return text("mhd", ("ElementDataFile = ", "ElementDataFile : /etc/passwd\nElementDataFile = ")).write(
        folder
    )


@trap("right")
def metaimage_that_names_a_second_file_in_small_letters(folder: Path) -> Path:
    return text("mhd", ("ElementDataFile = ", "elementdatafile = /etc/passwd\nElementDataFile = ")).write(
        folder
    )


@trap("unreadable")
def metaimage_that_names_binary_nonsense(folder: Path) -> Path:
    return text("mha", ("LOCAL\n", "LOCAL")).write(folder)


@trap("singular-affine")
def metaimage_without_depth(folder: Path) -> Path:
    return text("mha", ("ElementSpacing = 30 25 40", "ElementSpacing = 30 25 0")).write(folder)


@trap("absurd-size")
def metaimage_of_petabytes(folder: Path) -> Path:
    return text("mhd", ("DimSize = 7 9 5", "DimSize = 2000000 2000000 2000000")).write(folder)


@trap("unreadable", "truncated-file")
def metaimage_that_begins_beyond_its_end(folder: Path) -> Path:
    return text("mhd", ("NDims = 3", "NDims = 3\nHeaderSize = 99999999999999")).write(folder)


def nifti_with(folder: Path, at: int, new: bytes) -> Path:
    (folder / "ct.nii").write_bytes(patched(plain_nifti(), at, new))
    return folder / "ct.nii"


@trap("unreadable")
def nifti_whose_voxels_begin_at_infinity(folder: Path) -> Path:
    return nifti_with(folder, 108, struct.pack("<f", float("inf")))


@trap("singular-affine")
def nifti_with_voxels_larger_than_the_universe(folder: Path) -> Path:
    return nifti_with(folder, 280, struct.pack("<f", 3e38))


@trap("absurd-spacing")
def nifti_with_voxels_of_ten_metres(folder: Path) -> Path:
    return nifti_with(folder, 280, struct.pack("<f", 1e4))


@trap("absurd-spacing")
def nifti_larger_than_a_body(folder: Path) -> Path:
    """Eight cubic metres: on the wanted grid they would be gigabytes."""
    content = patched(plain_nifti()[:352], 42, struct.pack("<3h", 200, 200, 200))
    content = patched(content, 280, struct.pack("<12f", 10, 0, 0, 0, 0, 10, 0, 0, 0, 0, 10, 0))
    (folder / "ct.nii.gz").write_bytes(gzip.compress(content + bytes(16_000_000), 1))
    return folder / "ct.nii.gz"


@trap("absurd-spacing")
def nifti_in_nanometres(folder: Path) -> Path:
    return nifti_with(folder, 280, struct.pack("<12f", 3e-5, 0, 0, 0, 0, 3e-5, 0, 0, 0, 0, 4e-5, 0))


@trap("singular-affine")
def nifti_with_a_quaternion_and_no_sizes(folder: Path) -> Path:
    content = patched(plain_nifti(), 252, struct.pack("<2h", 1, 0))
    (folder / "ct.nii").write_bytes(patched(content, 80, struct.pack("<3f", -1, 0, float("nan"))))
    return folder / "ct.nii"


@trap("singular-affine")
def nifti_in_metres_that_are_infinite(folder: Path) -> Path:
    content = patched(plain_nifti(), 123, b"\x01")
    (folder / "ct.nii").write_bytes(patched(content, 280, struct.pack("<f", float("inf"))))
    return folder / "ct.nii"


@trap("right")
def nifti_whose_name_is_no_text(folder: Path) -> Path:
    """Old systems wrote names in Latin-1."""
    path = Path(os.fsdecode(os.fsencode(folder) + b"/M\xfcller\n.nii"))
    path.write_bytes(plain_nifti())
    return path


@trap("truncated-file")
def broken_nifti_whose_name_is_no_text(folder: Path) -> Path:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/M\xfcller\n\x1b[2J.nii"))
    path.write_bytes(plain_nifti()[:500])
    return path


@trap("unreadable")
def npz_with_a_header_that_never_closes(folder: Path) -> Path:
    """numpy lets the error of Python's own tokenizer through."""
    return npz_with(folder, b"True", b"[[[[")


@trap("right")
def npz_of_python_2(folder: Path) -> Path:
    """numpy warns of it."""
    return npz_with(folder, b"(5, 9, 7), }", b"(5L, 9, 7),}")


def npz_with(folder: Path, old: bytes, new: bytes) -> Path:
    with zipfile.ZipFile(io.BytesIO(SCANS["npz"]().files["ct.npz"])) as archive:
        block = archive.read("ct.npy")
    assert old in block
    with zipfile.ZipFile(folder / "ct.npz", "w") as archive:
        archive.writestr("ct.npy", block.replace(old, new, 1))
    return folder / "ct.npz"


@trap("truncated-file", "unreadable")
def dicom_without_pixels(folder: Path) -> Path:
    scan = SCANS["dicom"]()
    content = scan.files["series/2.dcm"]
    return Scan(scan.files | {"series/2.dcm": content[: content.index(b"\xe0\x7f\x10\0OW")]}, "series").write(
        folder
    )


@trap("truncated-file")
def dicom_whose_pixels_are_nothing(folder: Path) -> Path:
    scan = SCANS["dicom"]()
    content = scan.files["series/2.dcm"]
    at = content.index(b"\xe0\x7f\x10\0OW") + 8
    return Scan(scan.files | {"series/2.dcm": content[:at] + bytes(4)}, "series").write(folder)
