"""A zip of DICOM slices, read where it lies: nothing is extracted to disk.

Axes: those of `dicom`. Sizes in bytes.
"""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from simcrop.data.readers.dicom import PREAMBLE, SUFFIXES, DicomFile, is_dicom, read_series
from simcrop.data.readers.stored import Stored, check_promise
from simcrop.errors import SimcropError

INFLATED_LIMIT = 16 << 30
MEMBERS_LIMIT = 100_000


def read_zip(path: Path) -> Stored:
    """The one CT series in a zip, in whatever folders inside it."""
    with zipped_files(path) as files:
        return read_series(files)


@contextmanager
def zipped_files(path: Path) -> Iterator[list[DicomFile]]:
    """The DICOM files in a zip, which stays open meanwhile."""
    with open_zip(path) as archive:
        members = [m for m in checked_members(archive) if starts_like_dicom(archive, m)]
        yield [DicomFile(m.filename, partial(archive.open, m)) for m in members]


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever `zipfile` and its decompressors raise while it is open becomes a refusal."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except SimcropError:
        raise
    except zipfile.BadZipFile as error:
        raise SimcropError("corrupt-file", "not a whole zip archive: a part is missing or damaged") from error
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise SimcropError("truncated-file", "a member of the zip ends too early or is damaged") from error
    except (RuntimeError, NotImplementedError) as error:
        raise SimcropError("unreadable", "the zip is encrypted or packed in an unknown way") from error
    except (ValueError, OverflowError, IndexError, struct.error) as error:
        raise SimcropError("corrupt-file", "the zip's list of members is damaged") from error


def checked_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files inside, after a look at names and sizes; a member never inflates past its stated size."""
    members = [m for m in archive.infolist() if not m.is_dir()]
    total = sum(m.file_size for m in members)
    if total > INFLATED_LIMIT or len(members) > MEMBERS_LIMIT:
        raise SimcropError(
            "absurd-size",
            f"the zip inflates to {total} bytes in {len(members)} files, "
            f"expected at most {INFLATED_LIMIT} in {MEMBERS_LIMIT}",
        )
    check_promise(total, sum(m.compress_size for m in members), compressed=True)
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ":" in name.split("/")[0] or ".." in PurePosixPath(name).parts:
            raise SimcropError("unsafe-path", "the zip has a member whose name points outside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SimcropError("unsafe-path", "the zip has a symbolic link among its members")
    return [m for m in members if not m.filename.startswith("__MACOSX/")]


def starts_like_dicom(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    if member.file_size == 0:
        return False
    with archive.open(member) as file:
        return is_dicom(member.filename, file.read(PREAMBLE + 4))


def may_hold_dicom(path: Path) -> bool:
    """Whether any name inside could be a slice; a broken zip counts, so that its refusal is written down."""
    try:
        with open_zip(path) as archive:
            names = [PurePosixPath(m.filename) for m in archive.infolist() if not m.is_dir()]
    except (SimcropError, OSError):
        return True
    return any(n.suffix.lower() in SUFFIXES or n.suffix[1:].isdecimal() or not n.suffix for n in names)
