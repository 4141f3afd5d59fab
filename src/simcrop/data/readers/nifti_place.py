"""Where a NIfTI header says that its scan lies, which it may say three times: by sform, qform and pixdim.

Axes: i, j, k as stored; columns of an affine are steps along them in RAS+ mm. Lengths in mm.

1. Without a coded sform or qform, pixdim gives the size; axes R, A, S and position 0 are guessed.
2. A coded qform alone counts. A quaternion up to 1 % too long is normalised, a longer one refused.
3. A coded sform counts where its columns are as long as pixdim says, to 1 %. A coded qform that puts the scan
   elsewhere, by more than half a voxel at any corner, or names other sides, is a note.
4. Where they are not:
   - a pixdim that is not there (0), or 1 x 1 x 1 without a coded qform, is no statement: the sform counts
   - a sform whose columns all have length 1 states directions and no size: a coded qform counts, else pixdim's sizes
     along the sform's directions
   - a sform into an atlas (code 3 and more) yields to a coded qform
   - all else is refused, `contradicting-geometry`
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.orientations import aff2axcodes
from nibabel.quaternions import quat2mat

from simcrop.data.guess import position_guess, sides_guess, size_guess
from simcrop.data.readers.geometry import agree, check_field, check_shear, distance_mm, in_mm
from simcrop.data.readers.units import UNKNOWN, scale_note
from simcrop.data.volume import check_affine, spacing_of
from simcrop.errors import SimcropError

LONGEST_QUATERNION = 1.01
ATLAS = 3  # codes from here on: Talairach, MNI, a template
UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by the lowest three bits of xyzt_units
NO_SIZE = "pixdim states no size"


@dataclass(frozen=True, eq=False)
class Statements:
    """What the header says, all in mm; sform and qform are None where they are not coded.

    `sizes` is pixdim, 1 where `blank` says that nothing is stated; `atlas` says that the sform leads into one.
    """

    sizes: np.ndarray
    blank: np.ndarray
    sform: np.ndarray | None
    qform: np.ndarray | None
    atlas: bool = False

    @property
    def default(self) -> bool:
        """Whether pixdim is what a header has in which nobody wrote."""
        return bool(self.blank.all() or (self.sizes == 1).all())


@dataclass(frozen=True, eq=False)
class Placed:
    """The affine in mm, whether the file really states it, and what is to be said of it."""

    affine: np.ndarray
    placed: bool
    notes: tuple[str, ...] = ()


def place_of(header: Nifti1Header, blank: np.ndarray, shape: tuple[int, int, int]) -> Placed:
    """By the rules above. `blank`, bool `(3,)`, says of which sizes pixdim had none before it was mended."""
    unit = UNIT_MM.get(int(header["xyzt_units"]) & 7)
    scale = np.diag([*[1.0 if unit is None else unit] * 3, 1.0])
    sform, qform, broken = forms_of(header)
    sizes = np.array([float(mm) for mm in header.get_zooms()[:3]]) * scale[0, 0]
    said = Statements(
        np.where(blank, 1.0, sizes),
        blank,
        None if sform is None else scale @ sform,
        None if qform is None else scale @ qform,
        atlas=int(header["sform_code"]) >= ATLAS,
    )
    placed = settle(said, shape)
    notes = () if unit == 1 else (UNKNOWN if unit is None else scale_note(unit),)
    return Placed(placed.affine, placed.placed, (*notes, *broken, *placed.notes))


def forms_of(header: Nifti1Header) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """The coded sform and qform in the header's own unit, and a note where a broken one is passed over."""
    sform = np.array(header.get_sform(), np.float64) if int(header["sform_code"]) else None
    qform = qform_of(header) if int(header["qform_code"]) else None
    if sform is not None and qform is not None and not is_sound(sform):
        return None, qform, ("the sform places no voxel, the qform is kept",)
    if sform is not None:
        check_affine(sform)
    if not int(header["qform_code"]):
        return sform, None, ()
    if qform is None and sform is None:
        raise SimcropError("singular-affine", "the NIfTI header's quaternion is no rotation")
    return sform, qform, () if qform is not None else ("the qform is no rotation, the sform is kept",)


def is_sound(affine: np.ndarray) -> bool:
    try:
        check_affine(affine)
    except SimcropError:
        return False
    return True


def qform_of(header: Nifti1Header) -> np.ndarray | None:
    """Rotation, sizes and place of the first voxel; None where the quaternion is none."""
    vector = np.array([float(header[f"quatern_{letter}"]) for letter in "bcd"])
    length = float(np.linalg.norm(vector))
    if not length <= LONGEST_QUATERNION:  # nor NaN
        return None
    sizes = np.array([float(mm) for mm in header.get_zooms()[:3]])
    affine = np.eye(4)
    # Of a vector that is too long for a rotation, quat2mat makes one of the same direction.
    rotation = quat2mat([max(0.0, 1 - length**2) ** 0.5, *vector])
    affine[:3, :3] = rotation * sizes * (1, 1, float(header["pixdim"][0]))
    affine[:3, 3] = [float(header[f"qoffset_{letter}"]) for letter in "xyz"]
    return affine


def settle(said: Statements, shape: tuple[int, int, int]) -> Placed:
    """Which statement counts."""
    if said.sform is None:
        return without_sform(said)
    check_affine(said.sform)
    lengths = np.array(spacing_of(said.sform))
    sizes = np.where(said.blank, lengths, said.sizes)
    if agree(lengths, sizes):
        return as_stated(said.sform, tuple(differences(said, shape)))
    qform = None if said.blank.any() else said.qform
    if qform is None and said.default:
        return Placed(said.sform, True, (f"{NO_SIZE}, the sform's {in_mm(lengths)} are kept",))
    if agree(lengths, np.ones(3)):
        return sized(said.sform / [*lengths, 1], sizes, qform)
    if qform is not None and said.atlas:
        return Placed(qform, True, ("the sform leads into an atlas, the qform's place is taken",))
    check_field(shape, said.sform)  # what is absurd or shears besides is better called so
    check_shear(shape, said.sform)
    raise SimcropError(
        "contradicting-geometry",
        f"the sform's voxels measure {in_mm(lengths)}, those of pixdim"
        f"{' and qform' if qform is not None else ''} {in_mm(sizes)}: correct the one that is wrong",
    )


def without_sform(said: Statements) -> Placed:
    """The qform, or a guess with the sizes of pixdim."""
    guesses = (size_guess(said.sizes, NO_SIZE),) if said.blank.any() else ()
    if said.qform is not None:
        check_affine(said.qform)
        placed = as_stated(said.qform, guesses)
        return placed if not said.blank.any() else Placed(placed.affine, placed.placed, guesses)
    if said.default and not guesses:
        guesses = (size_guess(said.sizes, "pixdim states nothing else"),)
    why = "the header has no coded qform or sform"
    guesses += (sides_guess("RAS", why), position_guess("it has none"))
    return Placed(np.diag([*said.sizes, 1.0]), False, guesses)


def as_stated(affine: np.ndarray, notes: tuple[str, ...] = ()) -> Placed:
    """Unless it is the identity, which is written where nothing is known."""
    if not np.array_equal(np.abs(affine), np.eye(4)):
        return Placed(affine, True, notes)
    why = "the header's affine is the identity"
    guesses = (size_guess((1.0, 1.0, 1.0), why), sides_guess("".join(aff2axcodes(affine)), why))
    return Placed(affine, False, (*notes, *guesses))


def sized(directions: np.ndarray, sizes: np.ndarray, qform: np.ndarray | None) -> Placed:
    """A sform without sizes: the qform, which has some, or else pixdim along its directions."""
    what = "the sform states no size, its columns have length 1"
    if qform is not None:
        sides, others = ("".join(aff2axcodes(affine)) for affine in (directions, qform))
        also = f", with sides {others} and not {sides}" if sides != others else ""
        return Placed(qform, True, (f"{what}, the qform's place and {in_mm(sizes)} are taken{also}",))
    affine = directions @ np.diag([*sizes, 1.0])
    notes = (f"{what}, pixdim's {in_mm(sizes)} are taken",)
    if not np.array_equal(np.abs(directions), np.eye(4)):
        return Placed(affine, True, notes)
    letters, why = "".join(aff2axcodes(affine)), "the sform is the identity"
    return Placed(affine, False, (*notes, sides_guess(letters, why), position_guess(why)))


def differences(said: Statements, shape: tuple[int, int, int]) -> Iterator[str]:
    """How the qform contradicts a sform that is taken; nothing where it lacks a size and is no whole statement."""
    if said.sform is None or said.qform is None or said.blank.any():
        return
    apart = distance_mm(said.sform, said.qform, shape)
    sides, others = ("".join(aff2axcodes(affine)) for affine in (said.sform, said.qform))
    if sides != others:
        yield f"sform and qform name different sides, {sides} and {others}, the sform's are taken"
    elif apart > min(spacing_of(said.sform)) / 2:
        yield f"sform and qform put the scan up to {apart:.4g} mm apart, the sform's place is taken"
