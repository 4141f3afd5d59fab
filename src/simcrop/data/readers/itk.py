"""MetaImage (.mhd, .mha) and NRRD (.nrrd, .nhdr) through SimpleITK; the one file that imports it.

Axes: ITK's x, y, z as stored, which is `(x, y, z)` of `Stored`; ITK counts in LPS mm, `Stored` in RAS+.
"""

from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np
import SimpleITK as sitk  # noqa: N813
from isal import isal_zlib

from simcrop.data.readers.geometry import affine_from_lps
from simcrop.data.readers.stored import Stored, check_promise, shape_3d
from simcrop.errors import SimcropError

HEADER_LIMIT = 1 << 20
DATA_KEYS = ("elementdatafile", "data file", "datafile")
NUMBERS = {
    sitk.sitkInt8: np.int8,
    sitk.sitkUInt8: np.uint8,
    sitk.sitkInt16: np.int16,
    sitk.sitkUInt16: np.uint16,
    sitk.sitkInt32: np.int32,
    sitk.sitkUInt32: np.uint32,
    sitk.sitkInt64: np.int64,
    sitk.sitkUInt64: np.uint64,
    sitk.sitkFloat32: np.float32,
    sitk.sitkFloat64: np.float64,
}
METAIMAGE_KEYS = {"dimsize", "elementtype", "elementdatafile"}
CHUNK = 1 << 20


@dataclass(frozen=True)
class Header:
    """Fields by lower-case name, and the byte where the text ends."""

    fields: dict[str, str]
    end: int

    @property
    def raw(self) -> bool:
        """Whether the voxels stand in the file byte by byte."""
        packed = self.fields.get("compresseddata", "").lower() == "true"
        return not packed and self.fields.get("encoding", "raw").lower() == "raw"


def read_itk(path: Path) -> Stored:
    """The scan in one MetaImage or NRRD file, with the data file that its header may name."""
    header = read_header(path)
    data = data_file(path, header)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO" if is_metaimage(path) else "NrrdImageIO")
    reader.SetFileName(str(path))
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise SimcropError("unreadable", "the MetaImage or NRRD header cannot be understood") from error
    shape = shape_3d(reader.GetSize())
    start = header.end if data == path else 0
    check_promise(voxel_bytes(reader, shape), data.stat().st_size - start, not header.raw)
    check_compressed(data, header, start)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise SimcropError("truncated-file", "the voxels are cut short or their bytes are damaged") from error
    values = sitk.GetArrayFromImage(image).T.reshape(shape, order="F")
    nowhere = not is_metaimage(path) and "space" not in header.fields
    notes = ("the NRRD header names no space: axes guessed as L, P, S",) if nowhere else ()
    return Stored(affine_of(image), notes=notes, values=values)


def voxel_bytes(reader: sitk.ImageFileReader, shape: tuple[int, int, int]) -> int:
    """What the header promises; more than one number per voxel is refused."""
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    if reader.GetNumberOfComponents() != 1 or reader.GetPixelID() not in NUMBERS:
        raise SimcropError("not-scalar", f"expected one number per voxel, found {kind}")
    return np.dtype(NUMBERS[reader.GetPixelID()]).itemsize * int(np.prod(shape, dtype=np.int64))


def affine_of(image: sitk.Image) -> np.ndarray:
    """Direction, spacing and origin of the first three axes."""
    n = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(n, n)[:3, :3]
    return affine_from_lps(direction * image.GetSpacing()[:3], np.array(image.GetOrigin()[:3]))


def is_metaimage(path: Path) -> bool:
    return path.suffix.lower() in (".mhd", ".mha")


def read_header(path: Path) -> Header:
    """The text in front of the voxels: MetaImage ends it with the data file's name, NRRD with an empty line."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while file.tell() < HEADER_LIMIT and (line := file.readline(HEADER_LIMIT)):
            text = line.decode("latin-1").strip()
            key, _, value = text.partition("=" if is_metaimage(path) else ":")
            fields[key.strip().lower()] = value.strip()
            if "elementdatafile" in fields if is_metaimage(path) else not text:
                break
        return Header(fields, file.tell())


def data_file(path: Path, header: Header) -> Path:
    """The file with the voxels: the header's own, or one beside it that is there and not empty."""
    if is_metaimage(path) and METAIMAGE_KEYS - header.fields.keys():
        raise SimcropError("unreadable", "the MetaImage header lacks DimSize, ElementType or ElementDataFile")
    name = next((header.fields[key] for key in DATA_KEYS if key in header.fields), "local")
    if name.lower() == "local":
        return path
    if name.upper().startswith("LIST") or "%" in name:
        raise SimcropError("unknown-format", "voxels spread over a list of files: give one data file")
    plain = Path(name)
    if plain.is_absolute() or PureWindowsPath(name).drive or ".." in plain.parts:
        raise SimcropError("unsafe-path", "the header names a data file outside its own folder")
    data = path.parent / plain
    if not data.is_file():
        raise SimcropError("missing-file", f"the data file {plain.name} that the header names is missing")
    if data.stat().st_size == 0:
        raise SimcropError("empty-file", f"the data file {plain.name} that the header names has no bytes")
    return data


def check_compressed(data: Path, header: Header, start: int) -> None:
    """Inflate once for the checksum at the end, which ITK does not look at."""
    zlib_data = header.fields.get("compresseddata", "").lower() == "true"
    gzip_data = header.fields.get("encoding", "").lower() in ("gzip", "gz")
    skips = any(header.fields.get(f"{unit} skip", "0") != "0" for unit in ("line", "byte"))
    if skips or not (zlib_data or gzip_data):
        return
    inflater = isal_zlib.decompressobj(15 if zlib_data else 31)
    with data.open("rb") as file:
        file.seek(start)
        try:
            while not inflater.eof:
                piece = inflater.unconsumed_tail or file.read(CHUNK)
                if not piece:
                    raise SimcropError("truncated-file", "the compressed voxels end too early")
                inflater.decompress(piece, 4 * CHUNK)
        except isal_zlib.error as error:  # pyright: ignore[reportGeneralTypeIssues]
            raise SimcropError("corrupt-file", "the compressed bytes or their checksum are wrong") from error
