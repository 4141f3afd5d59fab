"""NRRD (.nrrd, .nhdr): its text header by our own rules, so that no foreign parser sees a hostile one.

Axes: x, y, z as stored, which is `(x, y, z)` of `Stored`; the header names the space of its mm, `Stored` has RAS+.
"""

import re
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

MAGIC = re.compile(r"NRRD000[1-5]")
NEEDED = ("type", "dimension", "sizes", "encoding")
WIDTHS = {"char": 1, "short": 2, "int": 4, "longlong": 8}
PACKED = {"raw": "", "gzip": "gzip", "gz": "gzip"}
# Where each space's axes point, as signs that turn them into L, P, S.
SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
UNPLACED = ("", "scanner-xyz", "3d-right-handed", "3d-left-handed")  # spaces that do not know the body
PASSED_OVER = (
    *("content", "number", "min", "max", "old min", "old max", "block size", "sample units", "thicknesses"),
    *(
        "axis mins",
        "axis maxs",
        "centers",
        "centerings",
        "labels",
        "units",
        "space units",
        "measurement frame",
    ),
    *("axismins", "axismaxs", "oldmin", "oldmax", "blocksize", "sampleunits", "space dimension"),
)
USED = ("endian", "space", "space directions", "space origin", "spacings", "kinds", "data file")
KNOWN = frozenset((*NEEDED, *USED, *PASSED_OVER, "byte skip", "line skip"))
PLACES = ("domain", "space", "none", "???")
NOWHERE = "the NRRD header names no space of the body: axes guessed as L, P, S"
Fields = dict[str, str]


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
    notes = () if space_of(fields) in SPACES else (NOWHERE,)
    return Stored(affine_of(fields, n), notes=notes, values=voxels.read())


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


def space_of(fields: Fields) -> str:
    """Without the word for a fourth axis, time."""
    space = re.sub("^(lps|ras|las)t$", r"\1", fields.get("space", "").lower().removesuffix("-time"))
    if space not in SPACES and space not in UNPLACED:
        raise SimcropError("unreadable", "the NRRD header's space is none that the format knows")
    return space


def affine_of(fields: Fields, n: int) -> np.ndarray:
    """Direction, spacing and origin of the first three axes."""
    signs = np.array(SPACES.get(space_of(fields), (1, 1, 1)))
    if "space directions" not in fields:
        spacing = numbers_in(fields.get("spacings", " ".join(["1"] * n)), n, "spacings")[:3]
        if (spacing <= 0).any():
            raise SimcropError("singular-affine", "the NRRD header's spacings are not above zero")
        return affine_from_lps(np.diag(signs * spacing), np.zeros(3))
    steps = vectors_in(fields["space directions"], 3, "space directions").T
    (origin,) = vectors_in(fields.get("space origin", "(0,0,0)"), 1, "space origin")
    return affine_from_lps(steps * signs[:, None], origin * signs)


def vectors_in(text: str, count: int, what: str) -> np.ndarray:
    """Exactly `count` vectors `(x,y,z)`; an axis without a direction, `none`, may follow."""
    found = re.findall(r"\(([^()]*)\)", text)
    if len(found) != count or not re.fullmatch(r"(\([^()]*\)\s*)+(none\s*)*", text):
        raise SimcropError(
            "unreadable", f"the NRRD header's {what} holds something else than {count} vectors"
        )
    return np.stack([numbers_in(vector, 3, what) for vector in found])
