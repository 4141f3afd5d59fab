"""Traps, each built by hand: bombs, links, pipes, names that lead outside, and what broke a reader once.

Axes: those of `scans`. Every trap writes into a folder of its own, names the path to read, and the refusals that do.
"""

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from scans import PLACE, SCANS, SHAPE, Scan, dicom_folder, in_zip, slice_folder

MEGABYTE = 1 << 20
Trap = Callable[[Path], Path]
TRAPS: dict[str, tuple[Trap, tuple[str, ...]]] = {}


def trap(*reasons: str) -> Callable[[Trap], Trap]:
    """Under which reasons the trap may be refused; `right` if it may be read."""

    def add(write: Trap) -> Trap:
        TRAPS[write.__name__] = (write, reasons)
        return write

    return add


def patched(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def zeros_deflated(head: bytes, megabytes: int, window: int) -> bytes:
    """`head`, then many zeros, without ever holding them: one packed megabyte is repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * megabytes


def plain_nifti() -> bytes:
    return SCANS["nii"]().files["ct.nii"]


def text(kind: str, *changes: tuple[str, str]) -> Scan:
    """A MetaImage or NRRD scan with words of its header replaced."""
    scan = SCANS[kind]()
    content = scan.files[scan.to_read]
    for old, new in changes:
        assert old.encode() in content
        content = content.replace(old.encode(), new.encode(), 1)
    return Scan(scan.files | {scan.to_read: content}, scan.to_read)


@trap("absurd-size")
def gzip_bomb(folder: Path) -> Path:
    head = patched(plain_nifti()[:352], 42, struct.pack("<3h", 1000, 1000, 1000))
    (folder / "ct.nii.gz").write_bytes(zeros_deflated(head, 2000, 31))
    return folder / "ct.nii.gz"


@trap("unreadable")
def gzip_bomb_behind_the_voxels(folder: Path) -> Path:
    (folder / "ct.nii.gz").write_bytes(zeros_deflated(plain_nifti(), 4000, 31))
    return folder / "ct.nii.gz"


@trap("right")
def gzip_of_many_empty_members(folder: Path) -> Path:
    (folder / "ct.nii.gz").write_bytes(gzip.compress(plain_nifti()) + gzip.compress(b"") * 20_000)
    return folder / "ct.nii.gz"


@trap("unreadable")
def zlib_bomb_behind_the_voxels(folder: Path) -> Path:
    scan = SCANS["mhd-packed"]()
    (data,) = scan.files.keys() - {"ct.mhd"}
    return Scan(scan.files | {data: zeros_deflated(bytes(630), 4000, 15)}, "ct.mhd").write(folder)


@trap("absurd-size")
def zip_bomb(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for z, content in enumerate(dicom_folder().files.values()):
            archive.writestr(f"{z}.dcm", content + bytes(120 * MEGABYTE))
    return folder / "scan.zip"


@trap("absurd-size")
def npz_bomb(folder: Path) -> Path:
    with (
        zipfile.ZipFile(folder / "ct.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("ct.npy", "w") as ct,
    ):
        np.lib.format.write_array_header_1_0(
            ct, {"descr": "<i2", "fortran_order": False, "shape": (600, 1024, 512)}
        )
        for _ in range(600):
            ct.write(bytes(MEGABYTE))
    return folder / "ct.npz"


@trap("absurd-size")
def png_bomb(folder: Path) -> Path:
    content = io.BytesIO()
    Image.new("L", (4096, 4096)).save(content, "PNG")
    return Scan({f"scan/{z}.png": content.getvalue() for z in range(40)}, "scan").write(folder)


@trap("absurd-size")
def png_of_ten_thousand_million_pixels(folder: Path) -> Path:
    scan = slice_folder("PNG")
    head = struct.pack(">4s2I5B", b"IHDR", 100_000, 100_000, 8, 0, 0, 0, 0)
    wide = patched(scan.files["scan/0.png"], 12, head + struct.pack(">I", zlib.crc32(head)))
    return Scan(scan.files | {"scan/0.png": wide}, "scan").write(folder)


@trap("unreadable")
def deflated_dicom_bomb(folder: Path) -> Path:
    scan = dicom_folder()
    content = scan.files["series/0.dcm"].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99", 1)
    at = content.index(b"1.2.840.10008.1.2.1.99")
    content = patched(content, at - 2, struct.pack("<H", 22))
    content = patched(content, 140, struct.pack("<I", struct.unpack("<I", content[140:144])[0] + 2))
    end = 144 + struct.unpack("<I", content[140:144])[0]
    bomb = content[:end] + zeros_deflated(content[end:], 3000, -15)
    return Scan(scan.files | {"series/0.dcm": bomb}, "series").write(folder)


@trap("unreadable", "truncated-file")
def dicom_nested_without_end(folder: Path) -> Path:
    scan = dicom_folder()
    deeper = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    content = scan.files["series/0.dcm"]
    end = 144 + struct.unpack("<I", content[140:144])[0]
    return Scan(scan.files | {"series/0.dcm": content[:end] + deeper * 5000}, "series").write(folder)


@trap("absurd-size", "truncated-file", "unreadable")
def dicom_of_huge_slices(folder: Path) -> Path:
    files = {}
    for name, content in dicom_folder().files.items():
        data = pydicom.dcmread(io.BytesIO(content))
        data.Rows = data.Columns = 65535
        data.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
        data.PixelData = pydicom.encaps.encapsulate(
            [struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0" * 3000]
        )
        data["PixelData"].is_undefined_length = True
        target = io.BytesIO()
        data.save_as(target)
        files[name] = target.getvalue()
    return Scan(files, "series").write(folder)


@trap("unsafe-path")
def zip_with_names_that_lead_out(folder: Path) -> Path:
    path = in_zip(slice_folder("PNG"), PLACE, "CP-1.zip", f"CP-1.zip/{PLACE}").write(folder)
    with zipfile.ZipFile(folder / "CP-1.zip", "a") as archive:
        archive.writestr(f"{PLACE}/../../../../../evil.png", "x")
    return path


@trap("corrupt-file")
def zip_whose_list_has_a_torn_extra_field(folder: Path) -> Path:
    path = in_zip(dicom_folder(), "export", "scan.zip", "scan.zip").write(folder)
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")
    extra = b"\x01\0\x50\0"  # a ZIP64 field that promises 80 bytes and has none
    whole = patched(content, at + 30, struct.pack("<H", 4)) if at else content
    name = struct.unpack("<H", content[at + 28 : at + 30])[0]
    cut = at + 46 + name
    path.write_bytes(patched(whole[:cut] + extra + whole[cut:], at + 24, b"\xff\xff\xff\xff"))
    return path


def pipe(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


@trap("empty-file", "unreadable")
def pipe_for_a_scan(folder: Path) -> Path:
    pipe(folder / "x.zip"), pipe(folder / "x.dcm"), pipe(folder / "x")
    return pipe(folder / "ct.nii.gz")


@trap("missing-slices", "unreadable")
def pipe_among_slices(folder: Path) -> Path:
    path = slice_folder("PNG").write(folder)
    (path / "4.png").unlink()
    pipe(path / "4.png")
    return path


@trap("right")
def pipe_among_dicom_slices(folder: Path) -> Path:
    path = dicom_folder().write(folder)
    pipe(path / "9.dcm")
    return path


@trap("missing-file")
def pipe_for_the_voxels(folder: Path) -> Path:
    path = SCANS["mhd"]().write(folder)
    (folder / "ct.raw").unlink()
    pipe(folder / "ct.raw")
    return path


@trap("empty-file", "unreadable")
def device_for_a_scan(folder: Path) -> Path:
    (folder / "ct.nii").symlink_to("/dev/zero")
    return folder / "ct.nii"


@trap("no-scan")
def folder_called_like_a_scan(folder: Path) -> Path:
    (folder / "ct.nii.gz").mkdir()
    return folder / "ct.nii.gz"


@trap("missing-file", "unreadable")
def links_in_a_circle(folder: Path) -> Path:
    (folder / "a.nii").symlink_to(folder / "b.nii")
    (folder / "b.nii").symlink_to(folder / "a.nii")
    (folder / "inside").symlink_to(folder)
    return folder / "a.nii"


def outside(folder: Path, path: Path) -> None:
    """Moves a file of the scan elsewhere and leaves a link."""
    elsewhere = folder.parent / f"{folder.name}-outside"
    elsewhere.mkdir(exist_ok=True)
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)


@trap("unsafe-path")
def voxels_behind_a_link(folder: Path) -> Path:
    path = SCANS["mhd"]().write(folder)
    outside(folder, folder / "ct.raw")
    return path


@trap("unsafe-path")
def dicom_slice_behind_a_link(folder: Path) -> Path:
    path = dicom_folder().write(folder)
    outside(folder, path / "2.dcm")
    return path


@trap("unsafe-path")
def picture_behind_a_link(folder: Path) -> Path:
    path = slice_folder("PNG").write(folder)
    outside(folder, path / "2.png")
    return path


assert SHAPE == (7, 9, 5)
