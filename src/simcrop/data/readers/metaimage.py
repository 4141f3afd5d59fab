"""MetaImage (.mhd, .mha): its text header by our own rules, so that no foreign parser sees a hostile one.

Axes: x, y, z as stored, which is `(x, y, z)` of `Stored`; the format counts in LPS mm, `Stored` in RAS+.

Of several names for one thing the first of `POSITION`, `ROTATION` or `SIZE` counts, as in ITK, with a note where they
differ. What is absent is guessed: voxels of 1 mm, axes L, P, S, position 0, each with a note.
"""

from pathlib import Path

import numpy as np

from simcrop.data.guess import guesses_of_a_new_header, position_guess, sides_guess, size_guess
from simcrop.data.readers.geometry import affine_from_lps, agree
from simcrop.data.readers.stored import Stored, shape_3d
from simcrop.data.readers.units import UNKNOWN, mm_of, scale_note
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
POSITION = ("Origin", "Offset", "Position")
SIZE = ("ElementSpacing", "ElementSize")
ROTATION = ("TransformMatrix", "Rotation", "Orientation")
RESCALE = ("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset")
FLAGS = ("BinaryData", "CompressedData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
OTHERS = ("ElementNumberOfChannels", "HeaderSize", "DistanceUnits")
KNOWN = {name.lower(): name for name in (*NEEDED, *POSITION, *SIZE, *ROTATION, *RESCALE, *FLAGS, *OTHERS)}
del KNOWN["elementdatafile"]
"""A name counts whatever its capitals: ITK passes over `elementspacing`, and every voxel is 1 mm. But which file holds
the voxels only the name itself says, as for ITK: a second one in other letters could lead elsewhere.
"""
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
    affine, notes = affine_of(fields, n)
    return Stored(affine, *rescale(fields), notes=(*notes, *voxels.notes), values=voxels.read())


def read_fields(path: Path) -> tuple[Fields, int]:
    """`Name = value` line by line; the last one names the data file, and voxels may follow it at once."""
    fields: Fields = {}
    with path.open("rb") as file:
        for line in header_lines(file):
            name, mark, value = line.partition("=")
            name = KNOWN.get(name.strip().lower(), name.strip())
            if not mark and not name:
                continue
            if not mark or not name:
                raise SimcropError("unreadable", "the MetaImage header has a line that is no `Name = value`")
            if not same_value(fields.setdefault(name, value.strip()), value.strip()):
                raise SimcropError("unreadable", "the MetaImage header says one thing twice and differently")
            if name == "ElementDataFile":
                break
        if any(name not in fields for name in NEEDED):
            raise SimcropError("unreadable", f"the MetaImage header lacks one of {', '.join(NEEDED)}")
        return fields, file.tell()


def same_value(one: str, other: str) -> bool:
    """Whether two texts say the same, as `0 0 0` and `0.0 0.0 0.0` do."""
    try:
        return one == other or [float(n) for n in one.split()] == [float(n) for n in other.split()]
    except ValueError:
        return one.lower() == other.lower()


def yes(fields: Fields, *names: str, otherwise: bool = False) -> bool:
    """Whether it is so by any of the names, which must not differ."""
    words = {fields[name].lower() for name in names if name in fields} or {str(otherwise).lower()}
    if not words <= {"true", "false", "1", "0"}:
        raise SimcropError("unreadable", f"the MetaImage header's {names[0]} is neither True nor False")
    if len(said := {word in ("true", "1") for word in words}) > 1:
        raise SimcropError("unreadable", f"the MetaImage header says {names[0]} in two ways")
    return said.pop()


def number_type(fields: Fields) -> np.dtype:
    kind = fields["ElementType"]
    if kind not in NUMBERS or fields.get("ElementNumberOfChannels", "1") != "1":
        raise SimcropError(
            "not-scalar", "expected one number per voxel, found an ElementType or channels beyond it"
        )
    big = yes(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype(NUMBERS[kind]).newbyteorder(">" if big else "<")


def rescale(fields: Fields) -> tuple[float, float]:
    """From stored numbers to intensities, which ITK leaves to its user."""
    slope, offset = (
        float(numbers_in(fields.get(name, unsaid), 1, name)[0])
        for name, unsaid in zip(RESCALE, ("1", "0"), strict=True)
    )
    return slope, offset


def packing(fields: Fields) -> str:
    if not yes(fields, "BinaryData", otherwise=True):
        raise SimcropError("unknown-format", "the voxels are written as text, expected BinaryData = True")
    return "zlib" if yes(fields, "CompressedData") else ""


def place_of(path: Path, fields: Fields, end: int) -> tuple[Path, int]:
    """The file with the voxels, and the byte at which they begin; -1 where they end with the file."""
    name = fields["ElementDataFile"]
    data, start = (path, end) if name.lower() == "local" else (beside(path, name), 0)
    skipped = whole_number(fields.get("HeaderSize", "0"), "HeaderSize")
    if skipped < -1 or (skipped and (data == path or packing(fields))):
        raise SimcropError("unreadable", "the MetaImage header puts the voxels at an impossible place")
    return data, -1 if skipped == -1 else start + skipped


def affine_of(fields: Fields, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Direction, spacing and origin of the first three axes, and what is to be said of them."""
    axes, turned = axes_of(fields, n)
    spacing, measured = spacing_in(fields, n)
    origin, put = numbers_of(fields, POSITION, n, np.zeros(n))
    if not put and not any(name in fields for name in POSITION):
        put = (position_guess(f"the header has no {POSITION[1]}"),)
    factor = mm_of(fields.get("DistanceUnits", ""))
    unit = () if factor == 1 else (UNKNOWN if factor is None else scale_note(factor),)
    affine = affine_from_lps(axes * spacing * (factor or 1), origin[:3] * (factor or 1))
    return affine, guesses_of_a_new_header(affine, (*unit, *measured, *turned, *put))


def numbers_of(
    fields: Fields, names: tuple[str, ...], count: int, otherwise: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The numbers under the first of several names that is there, and a note if another says something else."""
    there = [name for name in names if name in fields]
    values = [numbers_in(fields[name], count, name) for name in there]
    others = [name for name, value in zip(there, values, strict=True) if not np.array_equal(value, values[0])]
    note = (f"{there[0]} and {' and '.join(others)} differ, {there[0]} is taken",) if others else ()
    return (values[0] if there else otherwise), note


def axes_of(fields: Fields, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Unit columns `(3, 3)` along x, y, z. Columns of another length would state a second size."""
    matrix, notes = numbers_of(fields, ROTATION, n * n, np.eye(n).ravel())
    if not notes and not any(name in fields for name in ROTATION):
        notes = (sides_guess("LPS", f"the header has no {ROTATION[0]}"),)
    axes = matrix.reshape(n, n)[:3, :3].T
    lengths = np.linalg.norm(axes, axis=0)
    if lengths.all() and not agree(lengths, np.ones(3)):
        size = " x ".join(f"{length:.4g}" for length in lengths)
        raise SimcropError(
            "contradicting-geometry",
            f"the columns of the MetaImage header's {ROTATION[0]} have lengths {size}, expected 1: "
            "the size of a voxel belongs into ElementSpacing alone",
        )
    return axes, notes


def spacing_in(fields: Fields, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Millimetres, or whatever the header's unit is, per voxel along x, y, z."""
    spacing, notes = numbers_of(fields, SIZE, n, np.ones(n))
    if not any(name in fields for name in SIZE):
        notes = (size_guess(spacing[:3], f"the header has no {SIZE[0]}"),)
    elif SIZE[0] not in fields:
        notes = (f"the header has no {SIZE[0]}, {SIZE[1]} is taken as the spacing",)
    if (spacing[:3] <= 0).any():
        raise SimcropError("singular-affine", "the MetaImage header's ElementSpacing is not above zero")
    return spacing[:3], notes
