"""NRRD (.nrrd, .nhdr): its text header by our own rules, so that no foreign parser sees a hostile one.

Axes: x, y, z as stored, which is `(x, y, z)` of `Stored`; the header names the space of its mm, `Stored` has RAS+,
see `nrrd_place`.
"""

import re
from pathlib import Path

import numpy as np

from simcrop.data.readers.nrrd_place import Fields, affine_of
from simcrop.data.readers.stored import Stored, shape_3d
from simcrop.data.readers.voxels import (
    Voxels,
    beside,
    header_lines,
    lengths_in,
    whole_number,
)
from simcrop.errors import SimcropError

MAGIC = re.compile(r"NRRD000[1-5]")
NEEDED = ("type", "dimension", "sizes", "encoding")
WIDTHS = {"char": 1, "short": 2, "int": 4, "longlong": 8}
PACKED = {"raw": "", "gzip": "gzip", "gz": "gzip"}
PASSED_OVER = (
    *("content", "number", "min", "max", "old min", "old max", "block size", "sample units", "thicknesses"),
    *("labels", "measurement frame", "oldmin", "oldmax", "blocksize", "sampleunits", "space dimension"),
)
USED = ("endian", "space", "space directions", "space origin", "space units", "kinds", "data file")
PER_AXIS = ("spacings", "axis mins", "axis maxs", "axismins", "axismaxs", "centers", "centerings", "units")
KNOWN = frozenset((*NEEDED, *USED, *PER_AXIS, *PASSED_OVER, "byte skip", "line skip"))
PLACES = ("domain", "space", "none", "???")


def read_nrrd(path: Path) -> Stored:
    """The scan in one NRRD file, with the data file that its header may name."""
    fields, end = read_fields(path)
    n = whole_number(fields["dimension"], "dimension")
    lengths = lengths_in(fields["sizes"], "sizes")
    if len(lengths) != n:
        raise SimcropError("unreadable", "the NRRD header's sizes are not as many as its dimension")
    kinds = fields.get("kinds", "").lower().split()
    if kinds and kinds[0] not in PLACES:
        raise SimcropError("not-scalar", "expected one number per voxel, the first axis holds something else")
    shape = shape_3d(lengths)
    voxels = Voxels(*place_of(path, fields, end), number_type(fields), shape, packing(fields))
    affine, notes = affine_of(fields, lengths)
    return Stored(affine, notes=(*notes, *voxels.notes), values=voxels.read())


def read_fields(path: Path) -> tuple[Fields, int]:
    """`name: value` line by line up to an empty line; comments and `key:=value` are passed over."""
    fields: Fields = {}
    with path.open("rb") as file:
        lines = header_lines(file)
        if not MAGIC.fullmatch(next(lines, "")):
            raise SimcropError("unreadable", "not a NRRD file: it does not start with NRRD0001 to NRRD0005")
        for line in lines:
            if not line:
                break
            name, mark, value = line.partition(":")
            name = re.sub("^(data|line|byte)(file|skip)$", r"\1 \2", name.strip().lower())
            if line.startswith("#") or (mark and value.startswith("=")):
                continue
            if not mark or name in fields or name not in KNOWN:
                raise SimcropError(
                    "unreadable", "the NRRD header has a line that is no field, or one field twice"
                )
            fields[name] = value.strip()
        if any(name not in fields for name in NEEDED):
            raise SimcropError("unreadable", f"the NRRD header lacks one of {', '.join(NEEDED)}")
        return fields, file.tell()


def number_type(fields: Fields) -> np.dtype:
    """The many names that the format has for ten types of number."""
    words = fields["type"].lower().removesuffix("_t")
    if words in ("float", "double"):
        code = "f4" if words == "float" else "f8"
    elif match := re.fullmatch(r"(u?)int(8|16|32|64)", words):
        code = f"{match[1] or 'i'}{int(match[2]) // 8}"
    else:
        unsigned = words.startswith("u")
        bare = re.sub(r"^(unsigned|signed|u(?=char|short|int|long)) ?", "", words).replace(
            "long long", "longlong"
        )
        bare = bare.removesuffix(" int")
        if bare not in WIDTHS:
            raise SimcropError("not-scalar", "expected one number per voxel, the NRRD header's type is none")
        code = f"{'u' if unsigned else 'i'}{WIDTHS[bare]}"
    order = fields.get("endian", "little" if code[1] == "1" else "").lower()
    if order not in ("little", "big"):
        raise SimcropError("unreadable", "the NRRD header's endian is neither little nor big")
    return np.dtype(code).newbyteorder("<" if order == "little" else ">")


def packing(fields: Fields) -> str:
    if (encoding := fields["encoding"].lower()) not in PACKED:
        raise SimcropError("unknown-format", "the voxels' encoding is unknown, expected raw or gzip")
    return PACKED[encoding]


def place_of(path: Path, fields: Fields, end: int) -> tuple[Path, int]:
    """The file with the voxels, and the byte at which they begin; -1 where they end with the file."""
    name = fields.get("data file")
    data, start = (path, end) if name is None else (beside(path, name), 0)
    skipped = whole_number(fields.get("byte skip", "0"), "byte skip")
    if skipped < -1 or (skipped and packing(fields)) or fields.get("line skip", "0") != "0":
        raise SimcropError("unreadable", "the NRRD header puts the voxels at an impossible place")
    return data, -1 if skipped == -1 else start + skipped
