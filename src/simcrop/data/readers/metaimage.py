"""MetaImage (.mhd, .mha): its text header by our own rules, so that no foreign parser sees a hostile one.

Axes: x, y, z as stored, which is `(x, y, z)` of `Stored`; the format counts in LPS mm, `Stored` in RAS+.
"""

from pathlib import Path

import numpy as np

from simcrop.data.readers.geometry import affine_from_lps
from simcrop.data.readers.stored import Stored, shape_3d
from simcrop.data.readers.voxels import (
    Voxels,
    beside,
    header_lines,
    lengths_in,
    numbers_in,
    whole_number,
)
from simcrop.errors import SimcropError

NEEDED = ("NDims", "DimSize", "ElementType", "ElementDataFile")
NUMBERS = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
POSITION = ("Offset", "Position", "Origin")
ROTATION = ("TransformMatrix", "Rotation", "Orientation")
Fields = dict[str, str]


def read_metaimage(path: Path) -> Stored:
    """The scan in one MetaImage file, with the data file that its header may name."""
    fields, end = read_fields(path)
    n = whole_number(fields["NDims"], "NDims")
    lengths = lengths_in(fields["DimSize"], "DimSize")
    if len(lengths) != n:
        raise SimcropError("unreadable", "the MetaImage header's DimSize does not have NDims numbers")
    shape = shape_3d(lengths)
    voxels = Voxels(*place_of(path, fields, end), number_type(fields), shape, packing(fields))
    return Stored(affine_of(fields, n), values=voxels.read())


def read_fields(path: Path) -> tuple[Fields, int]:
    """`Name = value` line by line; the last one names the data file, and voxels may follow it at once."""
    fields: Fields = {}
    with path.open("rb") as file:
        for line in header_lines(file):
            name, mark, value = line.partition("=")
            name = name.strip()
            if not mark and not name:
                continue
            if not mark or not name or name in fields:
                raise SimcropError(
                    "unreadable", "the MetaImage header has a line that is no single `Name = value`"
                )
            fields[name] = value.strip()
            if name == "ElementDataFile":
                break
        if any(name not in fields for name in NEEDED):
            raise SimcropError("unreadable", f"the MetaImage header lacks one of {', '.join(NEEDED)}")
        return fields, file.tell()


def value_of(fields: Fields, names: tuple[str, ...], otherwise: str) -> str:
    """The value under the one of several names that is there."""
    found = [fields[name] for name in names if name in fields]
    if len(found) > 1:
        raise SimcropError("unreadable", f"the MetaImage header says {names[0]} in two ways")
    return found[0] if found else otherwise


def yes(fields: Fields, *names: str, otherwise: bool = False) -> bool:
    word = value_of(fields, names, str(otherwise)).lower()
    if word not in ("true", "false", "1", "0"):
        raise SimcropError("unreadable", f"the MetaImage header's {names[0]} is neither True nor False")
    return word in ("true", "1")


def number_type(fields: Fields) -> np.dtype:
    kind = fields["ElementType"]
    if kind not in NUMBERS or value_of(fields, ("ElementNumberOfChannels",), "1") != "1":
        raise SimcropError(
            "not-scalar", "expected one number per voxel, found an ElementType or channels beyond it"
        )
    big = yes(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype(NUMBERS[kind]).newbyteorder(">" if big else "<")


def packing(fields: Fields) -> str:
    if not yes(fields, "BinaryData", otherwise=True):
        raise SimcropError("unknown-format", "the voxels are written as text, expected BinaryData = True")
    return "zlib" if yes(fields, "CompressedData") else ""


def place_of(path: Path, fields: Fields, end: int) -> tuple[Path, int]:
    """The file with the voxels, and the byte at which they begin; -1 where they end with the file."""
    name = fields["ElementDataFile"]
    data, start = (path, end) if name.lower() == "local" else (beside(path, name), 0)
    skipped = whole_number(value_of(fields, ("HeaderSize",), "0"), "HeaderSize")
    if skipped < -1 or (skipped and (data == path or packing(fields))):
        raise SimcropError("unreadable", "the MetaImage header puts the voxels at an impossible place")
    return data, -1 if skipped == -1 else start + skipped


def affine_of(fields: Fields, n: int) -> np.ndarray:
    """Direction, spacing and origin of the first three axes."""
    eye = " ".join(str(v) for v in np.eye(n, dtype=int).ravel())
    axes = numbers_in(value_of(fields, ROTATION, eye), n * n, ROTATION[0]).reshape(n, n)[:3, :3]
    sizes = fields.get("ElementSize", " ".join(["1"] * n))
    spacing = numbers_in(fields.get("ElementSpacing", sizes), n, "ElementSpacing")[:3]
    if (spacing <= 0).any():
        raise SimcropError("singular-affine", "the MetaImage header's ElementSpacing is not above zero")
    origin = numbers_in(value_of(fields, POSITION, " ".join(["0"] * n)), n, POSITION[0])[:3]
    return affine_from_lps(axes.T * spacing, origin)
