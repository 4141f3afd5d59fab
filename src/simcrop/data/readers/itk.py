"""MetaImage (.mhd, .mha) and NRRD (.nrrd, .nhdr) through SimpleITK; the one file that imports it.

Axes: ITK's x, y, z as stored, which is `(x, y, z)` of `Stored`; ITK counts in LPS mm, `Stored` in RAS+.
"""

from pathlib import Path, PureWindowsPath

import numpy as np
import SimpleITK as sitk  # noqa: N813

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
INSIDE = ("local", "")  # MetaImage's word for "the voxels follow in this very file"


def read_itk(path: Path) -> Stored:
    """The scan in one MetaImage or NRRD file, with the data file that its header may name."""
    header = header_lines(path)
    on_disk = path.stat().st_size + sum(check_data_file(path, name) for name in data_files(header))
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise SimcropError("unreadable", "the MetaImage or NRRD header cannot be understood") from error
    shape = shape_3d(reader.GetSize())
    check_promise(voxel_bytes(reader, shape), on_disk, compressed=True)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise SimcropError("truncated-file", "the voxels are cut short or their bytes are damaged") from error
    values = sitk.GetArrayFromImage(image).T.reshape(shape, order="F")
    return Stored(values, affine_of(image), notes=guesses(path, header))


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


def header_lines(path: Path) -> list[str]:
    """The text in front of the voxels, line by line."""
    with path.open("rb") as file:
        text = file.read(HEADER_LIMIT)
    lines = []
    for line in text.split(b"\n"):
        lines.append(line.decode("latin-1").strip())
        if not lines[-1] or lines[-1].lower().replace(" ", "").startswith("elementdatafile="):
            break
    return lines


def data_files(lines: list[str]) -> list[str]:
    """Names of detached data files in a header."""
    names = []
    for line in lines:
        key, _, value = line.replace("=", ":", 1).partition(":")
        if key.strip().lower() in DATA_KEYS and value.strip().lower() not in INSIDE:
            names.append(value.strip())
    return names


def check_data_file(path: Path, name: str) -> int:
    """Bytes of a detached data file; it must lie in the header's folder."""
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
    return data.stat().st_size


def guesses(path: Path, lines: list[str]) -> tuple[str, ...]:
    """NRRD may leave out how its axes run; ITK then takes L, P, S."""
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    if nrrd and not any(line.lower().startswith("space:") for line in lines):
        return ("the NRRD header names no space: axes guessed as L, P, S",)
    return ()
