"""Where an NRRD header says that its scan lies: by directions in a space, or by numbers for each axis.

Axes: x, y, z as stored; the header names the space of its mm, the affine is RAS+.

`space directions` count before `spacings`, and these before `axis mins` and `axis maxs`, the edges of the first and the
last voxel unless they are said to be centres. Units are applied. What is absent is guessed, each with a note: voxels of
1 mm, axes that grow as those of the space, L, P, S where it is none of the body, position 0.
"""

import re

import numpy as np

from simcrop.data.guess import guesses_of_a_new_header, position_guess, sides_guess, size_guess
from simcrop.data.readers.geometry import affine_from_lps, agree
from simcrop.data.readers.units import UNKNOWN, mm_of, scale_note
from simcrop.data.readers.voxels import numbers_in
from simcrop.errors import SimcropError

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
Fields = dict[str, str]
Notes = tuple[str, ...]


def affine_of(fields: Fields, lengths: tuple[int, ...]) -> tuple[np.ndarray, Notes]:
    """Direction, spacing and origin of the first three axes in mm, and what is to be said of them."""
    space = space_of(fields)
    signs = np.array(SPACES.get(space, (1, 1, 1)))
    aimed = "space directions" in fields
    steps, origin, notes = in_space(fields, len(lengths)) if aimed else along_axes(fields, lengths)
    letters = "".join(pair[int(sign < 0)] for pair, sign in zip(("LR", "PA", "SI"), signs, strict=True))
    if space not in SPACES:
        notes += (sides_guess("LPS", "the NRRD header names no space of the body"),)
    elif not aimed:
        notes += (sides_guess(letters, "the NRRD header has no space directions"),)
    factors, scaled = units_of(fields, aimed)
    steps, origin = factors[:, None] * steps, factors * origin
    affine = affine_from_lps(steps * signs[:, None], origin * signs)
    return affine, guesses_of_a_new_header(affine, (*scaled, *notes))


def space_of(fields: Fields) -> str:
    """Without the word for a fourth axis, time."""
    space = re.sub("^(lps|ras|las)t$", r"\1", fields.get("space", "").lower().removesuffix("-time"))
    if space not in SPACES and space not in UNPLACED:
        raise SimcropError("unreadable", "the NRRD header's space is none that the format knows")
    return space


def in_space(fields: Fields, n: int) -> tuple[np.ndarray, np.ndarray, Notes]:
    """Steps `(3, 3)`, one column per axis, and the first voxel, in the axes of the space."""
    notes: Notes = ()
    steps = vectors_in(fields["space directions"], 3, "space directions").T
    spacing = per_axis(fields, ("spacings",), n)
    if not agree(spacing[known := np.isfinite(spacing)], np.linalg.norm(steps, axis=0)[known]):
        notes = ("space directions and spacings differ in size, space directions are taken",)
    if "space origin" not in fields:
        notes += (position_guess("the NRRD header has no space origin"),)
    (origin,) = vectors_in(fields.get("space origin", "(0,0,0)"), 1, "space origin")
    return steps, origin, notes


def along_axes(fields: Fields, lengths: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, Notes]:
    """The same where the header knows no directions: every axis for itself, NaN where nothing is said of it."""
    n = len(lengths)
    spacing, first, last = (
        per_axis(fields, names, n)
        for names in (("spacings",), ("axis mins", "axismins"), ("axis maxs", "axismaxs"))
    )
    centred = np.array([word == "node" for word in centerings(fields, n)])
    told = (last - first) / (np.array(lengths[:3]) - centred)
    step = np.where(np.isfinite(spacing), spacing, told)
    if (step <= 0).any():
        raise SimcropError(
            "singular-affine", "the NRRD header's spacings, or axis maxs less axis mins, are not above zero"
        )
    notes: Notes = ()
    both = np.isfinite(spacing) & np.isfinite(told)
    if not agree(spacing[both], told[both]):
        notes += ("axis mins and maxs contradict spacings, spacings are taken",)
    if not np.isfinite(step).all():
        step = np.where(np.isfinite(step), step, 1.0)
        notes += (size_guess(step, "the NRRD header does not state all of it"),)
    elif not np.isfinite(spacing).all() and not {"centers", "centerings"} & fields.keys():
        notes += (size_guess(step, "axis mins and maxs are held for the outer edges of voxels"),)
    origin = np.where(np.isfinite(first), first + np.where(centred, 0, step / 2), 0.0)
    if "space origin" in fields and "units" not in fields:  # which are of the axes, and not of the space
        (origin,) = vectors_in(fields["space origin"], 1, "space origin")
    elif not np.isfinite(first).all():
        notes += (position_guess("the NRRD header has no axis mins"),)
    return np.diag(step), origin, notes


def per_axis(fields: Fields, names: tuple[str, ...], n: int) -> np.ndarray:
    """One number for each of the first three axes; NaN, which the format has for it, where it is not known."""
    text = next((fields[name] for name in names if name in fields), " ".join(["nan"] * n))
    known = re.sub(r"(?i)(?<![^\s,])[-+]?nan(?![^\s,])", "0", text)
    numbers = numbers_in(known, n, names[0])
    unknown = [word.lower().strip("+-") == "nan" for word in text.replace(",", " ").split()]
    return np.where(unknown, np.nan, numbers)[:3]


def centerings(fields: Fields, n: int) -> list[str]:
    """`cell`, `node` or another word for each of the first three axes."""
    words = fields.get("centers", fields.get("centerings", "")).lower().split()
    return words[:3] if len(words) == n else ["cell"] * 3


def units_of(fields: Fields, aimed: bool) -> tuple[np.ndarray, Notes]:
    """Millimetres per unit `(3,)`, of the space or of each axis, and a note where they are others than mm."""
    text = fields.get("space units", "" if aimed else fields.get("units", ""))
    words = re.findall(r'"([^"]*)"', text) or text.split()
    found = [mm_of(word) for word in (*words, "", "", "")[:3]]
    factors = np.array([1.0 if factor is None else factor for factor in found])
    notes = (UNKNOWN,) if None in found else ()
    if len(set(found)) > 1:
        each = " and ".join(f"{factor:g}" for factor in factors)
        return factors, (*notes, f"lengths in the header multiplied by {each} to be mm")
    return factors, notes if factors[0] == 1 else (*notes, scale_note(float(factors[0])))


def vectors_in(text: str, count: int, what: str) -> np.ndarray:
    """Exactly `count` vectors `(x,y,z)`; an axis without a direction, `none`, may follow."""
    found = re.findall(r"\(([^()]*)\)", text)
    if len(found) != count or not re.fullmatch(r"(\([^()]*\)\s*)+(none\s*)*", text):
        raise SimcropError(
            "unreadable", f"the NRRD header's {what} holds something else than {count} vectors"
        )
    return np.stack([numbers_in(vector, 3, what) for vector in found])
