"""A submission to ReXGroundingCT: one flat zip with a NIfTI `(F, H, W, D)` per scan under its name; and its check.

Axes: F finding; H, W, D voxels of the scan's own file. A check reads the zip as it streams and unpacks nothing.
"""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast
from zlib import error as zlib_error

import numpy as np
from isal import igzip, isal_zlib

from simcrop.data.readers.nifti import read_header, skip
from simcrop.errors import SimcropError
from simcrop.files.whole import flush, temporary_name, writing

SCANS = 300  # of the challenge's test
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the date of every member: the same masks give the same zip
AT_ONCE = 1 << 22  # bytes
Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Checked:
    """What a sound submission holds."""

    scans: int
    findings: int
    voxels: int


def write_zip(path: Path, masks: Iterable[Path]) -> None:
    """The files as they are, each under its own name and none in a folder; whole or not at all."""
    temporary = temporary_name(path)
    with writing(path):
        try:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
                for mask in sorted(masks, key=lambda mask: mask.name):
                    with archive.open(zipfile.ZipInfo(mask.name, LONG_AGO), "w", force_zip64=True) as member:
                        member.write(mask.read_bytes())
            flush(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def check_zip(path: Path, shapes: Mapping[str, Shape] | None = None, scans: int | None = None) -> Checked:
    """Raises SimcropError with the first thing that is wrong. `shapes`: of every scan that must be there by the name of
    its file; without them names are not checked, and of each shape only that it has four axes.
    """
    wanted = scans if scans is not None else len(shapes) if shapes is not None else SCANS
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            check_names(path, [member.filename for member in members], shapes, wanted)
            found = [check_member(path, archive, m, (shapes or {}).get(m.filename)) for m in members]
    except FileNotFoundError:
        raise SimcropError("missing-file", f"{path}: no such file") from None
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise bad(path, "no sound zip archive") from error
    return Checked(len(found), sum(shape[0] for shape in found), sum(int(np.prod(s)) for s in found))


def check_names(path: Path, names: list[str], shapes: Mapping[str, Shape] | None, wanted: int) -> None:
    if nested := [name for name in names if "/" in name or "\\" in name]:
        raise bad(path, f"{nested[0]} lies in a folder; all files lie at the top")
    if other := [name for name in names if not name.endswith(".nii.gz")]:
        raise bad(path, f"{other[0]} is no .nii.gz; nothing else belongs there")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise bad(path, f"{twice} is there twice")
    if shapes is not None and (unknown := sorted(set(names) - set(shapes))):
        raise bad(path, f"{unknown[0]} is no scan of the split")
    if shapes is not None and (missing := sorted(set(shapes) - set(names))):
        raise bad(path, f"{len(missing)} scans are missing, the first is {missing[0]}")
    if len(names) != wanted:
        raise bad(path, f"{len(names)} files, expected {wanted}")


def check_member(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, wanted: Shape | None
) -> Shape:
    """The shape of one mask, of which every voxel was read."""
    try:
        with archive.open(member) as packed, igzip.IGzipFile(fileobj=cast(Any, packed)) as file:
            shape = check_header(path, member.filename, file, wanted)
            check_voxels(path, member.filename, file, int(np.prod(shape)))
    except SimcropError as error:
        raise (
            error if error.reason == "bad-submission" else bad(path, f"{member.filename}: {error.sentence}")
        ) from error
    except (EOFError, OSError, zlib_error, isal_zlib.error, zipfile.BadZipFile) as error:  # pyright: ignore[reportGeneralTypeIssues]
        raise bad(path, f"{member.filename} is no whole .nii.gz") from error
    return shape


def check_header(path: Path, name: str, file: BufferedIOBase, wanted: Shape | None) -> Shape:
    header, _ = read_header(file)
    lengths, dtype = tuple(int(n) for n in header.get_data_shape()), header.get_data_dtype()
    if len(lengths) != 4 or min(lengths) < 1:
        raise bad(path, f"{name} has the shape {by(lengths)}, expected (F, H, W, D)")
    shape = lengths[0], lengths[1], lengths[2], lengths[3]
    if wanted is not None and shape != wanted:
        raise bad(path, f"{name} has the shape {by(shape)}, expected {by(wanted)}")
    if dtype != np.uint8:
        raise bad(path, f"{name} is of {dtype}, expected uint8")
    skip(file, header.get_data_offset() - file.tell())
    return shape


def check_voxels(path: Path, name: str, file: BufferedIOBase, voxels: int) -> None:
    """Every voxel 0 or 1, as many as the header says, and nothing behind them."""
    left = voxels
    while piece := file.read(AT_ONCE):
        values = np.frombuffer(piece, np.uint8)
        left -= len(values)
        if left < 0:
            raise bad(path, f"{name} holds more bytes than its {voxels} voxels")
        if (highest := int(values.max())) > 1:
            raise bad(path, f"{name} holds the value {highest}, expected 0 and 1")
    if left:
        raise bad(path, f"{name} ends {left} voxels too early")


def by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def bad(path: Path, what: str) -> SimcropError:
    return SimcropError("bad-submission", f"{path}: {what}")
