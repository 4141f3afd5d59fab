"""A DICOM series: headers first, geometry proved, then the pixels, decompressed by gdcm if need be.

Axes: x along a row, y down the rows, z along the slice normal, as `series` orders them.
"""

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from simcrop.data.readers.bare_dicom import bare_storage, begins_data_set
from simcrop.data.readers.copies import without_copies
from simcrop.data.readers.series import Slice, prove
from simcrop.data.readers.series_choice import Found, choose, traits_of, words_of
from simcrop.data.readers.slice_header import slice_of
from simcrop.data.readers.slice_pixels import read_pixels
from simcrop.data.readers.stored import Stored
from simcrop.errors import SimcropError

PREAMBLE = 128
META_GROUP = 0x0002
ENOUGH = 1024  # first bytes, in which a slice without preamble says of what kind it is
# What pydicom raises for bytes that are no DICOM, nest without end, or promise more than there is memory.
UNREADABLE = (
    InvalidDicomError,
    ValueError,
    KeyError,
    NotImplementedError,
    AttributeError,
    RecursionError,
    MemoryError,
    OverflowError,
    struct.error,
)
SUFFIXES = (".dcm", ".dicom", ".ima")
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"  # and its enhanced kinds
STACKED = {CT_STORAGE, f"{CT_STORAGE}.1", f"{CT_STORAGE}.2"}
SERIES = 0x0020000E  # SeriesInstanceUID
# Storage classes without a picture: radiotherapy, reports, presentation states, documents, raw data, directories.
NO_PICTURE = tuple(
    "1.2.840.10008." + tail
    for tail in (
        "5.1.4.1.1.481.",
        "5.1.4.1.1.88.",
        "5.1.4.1.1.11.",
        "5.1.4.1.1.104.",
        "5.1.4.1.1.66",
        "1.3.10",
    )
)


@dataclass(frozen=True)
class DicomFile:
    """One DICOM file wherever it lies: its name for messages, and how to open it."""

    name: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def looks_like_dicom(path: Path) -> bool:
    """By the word DICM after the preamble; old files that lack it by their name, or by their first elements."""
    with path.open("rb") as file:
        return is_dicom(path.name, file.read(PREAMBLE + 4))


def is_dicom(name: str, start: bytes) -> bool:
    """What a Mac leaves beside each file, `._1.dcm`, has only the name of one."""
    named = name.lower().endswith(SUFFIXES) and not PurePosixPath(name).name.startswith("._")
    return start[PREAMBLE:] == b"DICM" or named or begins_data_set(start)


def holds_picture(path: Path, start: bytes) -> bool:
    """Whether the storage class of a DICOM file has pixels; `start` are its first bytes."""
    try:
        if begins_data_set(start[: PREAMBLE + 4]):
            return not bare_storage(start).startswith(NO_PICTURE)
        with lenient():
            storage = str(read_file_meta_info(path).get("MediaStorageSOPClassUID", ""))
    except (BytesLengthException, EOFError, TypeError, OSError, *UNREADABLE):
        return True  # the reader will say what is wrong with it
    return not storage.startswith(NO_PICTURE)


def read_series(sources: list[DicomFile]) -> Stored:
    """Sort out what is no CT slice, choose one series, prove its geometry, then read its pixels."""
    ordered, affine, notes = proved_series(sources)
    with lenient():
        return read_pixels(lambda s: with_pixels(sources[s.index]), ordered, affine, notes)


def read_headers(sources: list[DicomFile]) -> list[FileDataset]:
    """Of the slices that `read_series` reads the headers, in the same order."""
    ordered, _, _ = proved_series(sources)
    with lenient():
        return [read_file(sources[s.index], pixels=False) for s in ordered]


@contextmanager
def lenient() -> Iterator[None]:
    """Headers are full of values that pydicom complains of and that nobody asks for."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore", UserWarning)
        yield


def proved_series(sources: list[DicomFile]) -> tuple[list[Slice], np.ndarray, tuple[str, ...]]:
    """The slices of the one series that is read, in order; their affine, and notes on what was left out."""
    with lenient():
        found = [inspect(source, index) for index, source in enumerate(sources)]
        pictures = [f for f in found if isinstance(f, Found)]
        others = [f for f in found if isinstance(f, str)]
        if others and not pictures:
            seen = ", ".join(sorted(set(others)))
            raise SimcropError("not-ct", f"no CT slice among the DICOM files, their modality is {seen}")
        if not pictures:
            raise SimcropError("no-scan", "no DICOM file lies directly in it, expected one CT series")
        single = without_copies(pictures, lambda s: read_file(sources[s.index], pixels=True).get("PixelData"))
        slices, notes = choose(single)
        ordered, affine = prove(slices)
        if copies := len(pictures) - len(single):
            notes += (f"DICOM files left out because each is a copy of another: {copies}",)
        if others:
            notes += (f"DICOM files left out because they are no CT slice: {len(others)}",)
        return ordered, affine, notes


def with_pixels(source: DicomFile) -> tuple[str, FileDataset]:
    return source.name, read_file(source, pixels=True)


def inspect(source: DicomFile, index: int) -> Found | str:
    """What a CT picture's header says, or the modality of a file that is none."""
    header = read_file(source, pixels=False)
    # Values are parsed when asked for, so a damaged one shows itself only here.
    try:
        if is_ct_slice(header):
            return found_in(header, index, source.name)
        if is_torn(header):
            return torn(header, source.name)
        modality = str(header.get("Modality", "unknown"))
    except (BytesLengthException, TypeError, *UNREADABLE) as error:
        raise SimcropError("unreadable", f"{source.name} has a damaged DICOM header") from error
    return modality if modality.isalnum() and len(modality) <= 16 else "unknown"


def read_file(source: DicomFile, pixels: bool) -> FileDataset:
    """One file; old files without the preamble are read too."""
    try:
        with source.open() as file:
            refuse_deflated(file, source.name)  # pyright: ignore[reportArgumentType]
            data = dcmread(file, stop_before_pixels=not pixels, force=True)
    except (EOFError, BytesLengthException) as error:
        raise SimcropError("truncated-file", f"the DICOM file {source.name} ends too early") from error
    except UNREADABLE as error:
        raise SimcropError("unreadable", f"{source.name} is no readable DICOM file") from error
    if len(data) == 0:
        raise SimcropError("unreadable", f"{source.name} is no readable DICOM file")
    return data


def refuse_deflated(file: BufferedIOBase, name: str) -> None:
    """pydicom inflates such a file at once, however large it becomes; no scanner writes one."""
    start = file.read(PREAMBLE + 4)
    whole = start[PREAMBLE:] == b"DICM"
    if whole or start.startswith(b"\x02\0"):
        stream: Any = file
        stream.seek(PREAMBLE + 4 if whole else 0)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != META_GROUP)
        if meta.get("TransferSyntaxUID", "") == DeflatedExplicitVRLittleEndian:
            raise SimcropError(
                "unreadable",
                f"{name} is deflated as a whole, expected plain or compressed pixels: "
                "dcmconv +te FILE FILE undoes it",
            )
    file.seek(0)


def is_ct_slice(header: FileDataset) -> bool:
    """A CT picture that belongs to a stack: no report, no structure set, no scout, no capture of a screen."""
    storage = str(header.get("SOPClassUID", ""))
    placed = storage.startswith(CT_STORAGE) or not storage or "ImagePositionPatient" in header
    picture = ("Rows" in header or "Columns" in header) and placed and not storage.startswith(NO_PICTURE)
    return picture and not is_scout(header) and str(header.get("Modality", "CT")) == "CT"


def is_torn(header: FileDataset) -> bool:
    """Whether a header is that of a slice as far as it goes, and ends before it says how large the picture is."""
    meta = getattr(header, "file_meta", None) or {}
    storage = {str(header.get("SOPClassUID", "")), str(meta.get("MediaStorageSOPClassUID", ""))}
    whole = "Rows" in header or "Columns" in header
    modality = str(header.get("Modality", ""))  # its last letter may be gone
    return not (whole or is_scout(header)) and bool(storage & STACKED) and "CT".startswith(modality)


def torn(header: FileDataset, name: str) -> Found:
    """A fault of its series; of all that lies there, where it ends before it has said of which."""
    fault = SimcropError("truncated-file", f"the DICOM file {name} ends in its header")
    if max(header.keys(), default=0) <= SERIES:
        raise fault
    return found_as(header, fault)


def is_scout(header: FileDataset) -> bool:
    return "LOCALIZER" in [word.upper() for word in words_of(header.get("ImageType", None))]


def found_in(header: FileDataset, index: int, name: str) -> Found:
    """One CT picture; what is wrong with its slice counts only once its series is chosen."""
    try:
        made: Slice | SimcropError = slice_of(header, index, name)
    except SimcropError as error:
        made = error
    return found_as(header, made)


def found_as(header: FileDataset, made: Slice | SimcropError) -> Found:
    patient, study = (str(header.get(key, None) or "").strip() for key in ("PatientID", "StudyInstanceUID"))
    return Found(str(header.get("SeriesInstanceUID", "")), patient, study, traits_of(header), made)
