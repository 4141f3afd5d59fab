"""The pixels of a proved DICOM series: decompressed, told padding masked, each slice rescaled where that differs.

Axes: slices `(rows, columns)` become `(x, y, z)`; stored numbers, or HU where they had to be rescaled here.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from simcrop.data.readers.padding import Masking, survives, told_to_all, without
from simcrop.data.readers.series import Slice
from simcrop.data.readers.stored import Stored, check_largest, check_promise, check_scalar, shape_3d
from simcrop.errors import SimcropError

NEEDED = (
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
)
BLANK = 1 << 16  # bytes of a series that need not be there: a slice of one number packs into nearly none
JUMP_HU = 200.0  # by which a slice's own rescale may tear it away from its neighbour
Load = Callable[[Slice], tuple[str, FileDataset]]  # a slice's name for messages, and its file with pixels


def read_pixels(load: Load, slices: list[Slice], affine: np.ndarray, notes: tuple[str, ...]) -> Stored:
    """The volume, and the rescale still to be applied; where slices differ in theirs it is applied here."""
    first, padding, masking = slices[0], told_to_all(slices), Masking()
    shape = shape_3d((first.columns, first.rows, len(slices)))
    check_largest(2 * first.columns * first.rows * len(slices))
    differ = len({(s.slope, s.intercept) for s in slices}) > 1
    here = differ or (any(padding) and not survives(first.slope, first.intercept))
    # One slice that says otherwise how many bits count may be a slip: then it may not lose any.
    exact = len({s.bits for s in slices}) > 1
    stack, signs, neighbours, packed = None, Signs(), Neighbours(), BLANK
    for z, (s, told) in enumerate(zip(slices, padding, strict=True)):
        name, data = load(s)
        packed += len(data.get("PixelData", None) or b"")
        check_promise(2 * s.rows * s.columns * (z + 1), packed, compressed=True)
        pixels = pixel_array(name, data, (s.rows, s.columns), exact)
        check_scalar(pixels.dtype)
        masked = masking.mask(pixels, told, s)
        signs.see(s, pixels, masked)
        if differ:
            neighbours.see(s, pixels, masked)
        if here:
            pixels = (pixels * s.slope + s.intercept).astype(np.float32)
        if any(padding):
            pixels = without(pixels, masked)
        if stack is None:
            stack = np.empty(shape[::-1], pixels.dtype)
        if pixels.dtype != stack.dtype:  # signed and unsigned slices in one series
            stack = stack.astype(np.promote_types(pixels.dtype, stack.dtype), copy=False)
        stack[z] = pixels
    assert stack is not None
    signs.check()
    notes += (*rescale_notes(slices), *masking.notes)
    slope, intercept = (1.0, 0.0) if here else (first.slope, first.intercept)
    return Stored(affine, slope, intercept, notes=notes, values=stack.T)


def rescale_notes(slices: list[Slice]) -> tuple[str, ...]:
    """Where most slices share one rescale, the few others may as well be slips that no neighbour gives away."""
    counts = Counter((s.slope, s.intercept) for s in slices)
    ((_, most),) = counts.most_common(1)
    if len(counts) == 1:
        return ()
    few = (
        f"assumed right the rescale of {len(slices) - most} slices of {len(slices)}, other than that of the rest",
    )
    return ("every slice rescaled by its own header", *few * (most > len(slices) / 2))


class Signs:
    """Signed and unsigned slices may mix as long as no number could mean two things."""

    def __init__(self) -> None:
        self.kinds, self.doubtful = set[str](), list[int]()

    def see(self, s: Slice, pixels: np.ndarray, masked: np.ndarray | None) -> None:
        self.kinds.add(pixels.dtype.kind)
        half = 1 << (8 * pixels.dtype.itemsize - 1)
        if (
            pixels.dtype.kind == "u"
            and pixels.max(where=True if masked is None else ~masked, initial=0) >= half
        ):
            self.doubtful.append(s.number)

    def check(self) -> None:
        if len(self.kinds) > 1 and self.doubtful:
            raise SimcropError(
                "mixed-numbers",
                f"slice {self.doubtful[0]} states unsigned numbers (PixelRepresentation) where others are signed, and "
                "holds some that would be negative there",
            )


class Neighbours:
    """Of slices with different rescales: each has to make a slice more like the one before, never less."""

    def __init__(self) -> None:
        self.before: tuple[Slice, np.ndarray, np.ndarray] | None = None

    def see(self, s: Slice, pixels: np.ndarray, masked: np.ndarray | None) -> None:
        stored = pixels.astype(np.float32)
        known = np.ones(stored.shape, bool) if masked is None else ~masked
        if self.before is not None:
            t, other, known_there = self.before
            both = known & known_there
            if (s.slope, s.intercept) != (t.slope, t.intercept) and both.any():
                compare(t, other[both], s, stored[both])
        self.before = s, stored, known


def compare(t: Slice, other: np.ndarray, s: Slice, stored: np.ndarray) -> None:
    """The same voxels of two neighbours, as stored."""
    apart = float(np.abs(stored * s.slope + s.intercept - other * t.slope - t.intercept).mean())
    alike = float(np.abs(stored - other).mean())
    if apart > alike * min(abs(s.slope), abs(t.slope)) + JUMP_HU:
        raise SimcropError(
            "mixed-numbers",
            f"slices {t.number} and {s.number} state rescales that tear them {apart:.0f} HU apart, "
            f"where their stored numbers differ by {alike:.0f}: one of the two is wrong",
        )


def pixel_array(name: str, data: FileDataset, shape: tuple[int, int], exact: bool = False) -> np.ndarray:
    """Stored numbers of one slice, decompressed; if `exact`, no bit above BitsStored may be in use."""
    missing = [keyword for keyword in NEEDED if data.get(keyword, None) is None]
    if missing and data.get("PixelData", None):
        raise SimcropError(
            "unreadable", f"{name} states no {' and no '.join(missing)}, without which no pixel can be read"
        )
    if "TransferSyntaxUID" not in data.file_meta:  # an old file without a preamble is never compressed
        implicit, little = (said is not False for said in data.original_encoding)
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    try:
        pixels = data.pixel_array
    except (ValueError, AttributeError, TypeError, EOFError, IndexError, BytesLengthException) as error:
        raise SimcropError("truncated-file", f"the pixels of {name} are missing or cut short") from error
    except (RuntimeError, NotImplementedError, KeyError, MemoryError, OverflowError) as error:
        raise SimcropError("unreadable", f"the pixels of {name} cannot be decompressed") from error
    if pixels.shape != shape:
        raise SimcropError("unreadable", f"the pixels of {name} do not have the size of its header")
    if exact and lost_bits(data, pixels):
        raise SimcropError(
            "mixed-numbers",
            f"{name} uses more bits than its BitsStored says, which differs from other slices'",
        )
    return pixels


def lost_bits(data: FileDataset, pixels: np.ndarray) -> bool:
    """Whether numbers had bits that were cut away; compressed ones never have."""
    syntax: UID = data.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        return False
    order = "<" if syntax.is_little_endian else ">"
    raw = np.frombuffer(data.PixelData, pixels.dtype.newbyteorder(order), count=pixels.size)
    return not np.array_equal(raw.reshape(pixels.shape), pixels)
