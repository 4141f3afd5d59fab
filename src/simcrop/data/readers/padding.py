"""PixelPaddingValue and its range limit: stored numbers by which a header says that nothing was measured there.

Axes: one slice `(rows, columns)` of stored numbers; HU are `stored * slope + intercept`. Which voxels are padding:

1. Told numbers that lie below all matter, or are air anyhow (-1100 to -900 HU), need nothing: `hounsfield` knows them.
2. Told numbers denser than any CT holds (above 4000 HU), or thinner than air, are padding wherever they stand.
3. One number, or a range above 1500 HU, may be that of true voxels as well, of water or of metal: it is padding where
   it reaches a corner of the slice, or its edge; below 1500 HU with four pixels together. Elsewhere it is kept, with a
   note.
4. A range that covers air, lung and tissue is no padding: it is kept, with a note.
"""

from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from scipy import ndimage

from simcrop.data.hounsfield import NO_MATTER_HU, PADDING_HU
from simcrop.data.readers.series import Slice

NOTHING = -30000  # what padding is stored as from here on: no rescale of a CT makes matter of it
AIR_TO_HU, BONE_HU, DENSEST_HU = -900.0, 1500.0, 4000.0
TOGETHER = 4  # pixels at an edge, of which chance makes no group


def told_padding(header: FileDataset) -> tuple[int, int] | None:
    """The value and the limit of its range, as they are written; what is no number counts as unsaid."""
    value = whole(header, "PixelPaddingValue")
    limit = whole(header, "PixelPaddingRangeLimit")
    return None if value is None else (value, value if limit is None else limit)


def whole(header: FileDataset, keyword: str) -> int | None:
    """A whole number, also where its type is unknown and it came as bytes."""
    try:
        value = header.get(keyword, None)
        if isinstance(value, bytes):
            return int.from_bytes(value[:2], "little") if len(value) >= 2 else None
        if isinstance(value, list | MultiValue):
            value = value[0]
        return int(value)  # pyright: ignore[reportArgumentType]
    except (BytesLengthException, TypeError, ValueError, OverflowError, IndexError):
        return None


def told_to_all(slices: list[Slice]) -> list[tuple[int, int] | None]:
    """Per slice what its header tells; one that tells nothing is told what all the others tell."""
    told = {s.padding for s in slices if s.padding is not None}
    common = next(iter(told)) if len(told) == 1 else None
    return [s.padding or common for s in slices]


def survives(slope: float, intercept: float) -> bool:
    """Whether `NOTHING` lies below all matter after this rescale, too."""
    return NOTHING * slope + intercept < NO_MATTER_HU


@dataclass
class Masking:
    """What was masked of a series so far, for the notes."""

    masked: int = 0
    kept: int = 0
    seen: int = 0
    told: set[str] = field(default_factory=set)
    disbelieved: set[str] = field(default_factory=set)

    def mask(self, pixels: np.ndarray, told: tuple[int, int] | None, s: Slice) -> np.ndarray | None:
        """True where the slice is padding; None where nothing is."""
        self.seen += pixels.size
        if told is None:
            return None
        masked = np.zeros(pixels.shape, bool)
        for low, high in readings(told, pixels.dtype, s.bits):
            masked |= self.mask_one(pixels, low, high, sorted((low * s.slope, high * s.slope)), s.intercept)
        self.masked += int(np.count_nonzero(masked))
        return masked if masked.any() else None

    def mask_one(
        self, pixels: np.ndarray, low: int, high: int, scaled: list[float], intercept: float
    ) -> np.ndarray:
        """Of one range of stored numbers."""
        low_hu, high_hu = scaled[0] + intercept, scaled[1] + intercept
        nowhere = np.zeros(pixels.shape, bool)
        airy = low_hu >= PADDING_HU and high_hu <= AIR_TO_HU
        if airy or max(high, high_hu) < NO_MATTER_HU:
            return nowhere
        found = pixels == low if low == high else (pixels >= low) & (pixels <= high)
        if not found.any():
            return nowhere
        words = f"{low}" if low == high else f"{low} to {high}"
        if low_hu > DENSEST_HU or high_hu < AIR_TO_HU:
            self.told.add(words)
            return found
        if low < high and low_hu < BONE_HU:
            self.disbelieved.add(words)
            return nowhere
        outside = at_the_edge(found, 1 if low_hu >= BONE_HU else TOGETHER)
        self.kept += int(np.count_nonzero(found & ~outside))
        self.told.add(words)
        return outside

    @property
    def notes(self) -> tuple[str, ...]:
        told, made = ", ".join(sorted(self.told)[:3]), []
        if self.masked:
            share = f"{self.masked / self.seen:.2%} of voxels"
            made.append(f"{share} are padding by the headers' PixelPaddingValue ({told}) and count as air")
        if self.kept:
            made.append(f"{self.kept} voxels equal PixelPaddingValue ({told}) amid the picture and are kept")
        if self.disbelieved:
            ranges = ", ".join(sorted(self.disbelieved)[:3])
            made.append(f"PixelPaddingRangeLimit would make padding of tissue ({ranges}) and is not believed")
        return tuple(made)


def readings(told: tuple[int, int], dtype: np.dtype, bits: str) -> set[tuple[int, int]]:
    """The told numbers as such pixels can hold them: a -2000 among unsigned 16 bits is 63536, in 12 of them 2096."""
    widths = {8 * dtype.itemsize, int(bits) if bits.isdecimal() else 64}
    found: set[tuple[int, int]] = set()
    for width in widths:
        low, high = sorted(wrapped(n, width, dtype.kind == "i") for n in told)
        found.add((low, high))
    return found


def wrapped(number: int, bits: int, signed: bool) -> int:
    if bits < 1 or bits > 64:
        return number
    number %= 1 << bits
    return number - (1 << bits) if signed and number >= 1 << (bits - 1) else number


def at_the_edge(found: np.ndarray, together: int) -> np.ndarray:
    """The connected parts that hold a corner of the slice, or reach its edge with so many pixels `together`."""
    labels = np.zeros(found.shape, np.int32)
    count = int(ndimage.label(found, output=labels))  # pyright: ignore[reportArgumentType]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.zeros(count + 1, bool)
    outside[edge] = sizes[edge] >= together
    outside[labels[[0, 0, -1, -1], [0, -1, 0, -1]]] = True
    outside[0] = False
    return outside[labels]


def without(pixels: np.ndarray, masked: np.ndarray | None) -> np.ndarray:
    """The pixels with `NOTHING` where they are padding, in the smallest type that holds them all."""
    if masked is not None:
        pixels = np.where(masked, pixels.dtype.type(0), pixels)
    if pixels.dtype.kind == "u":
        pixels = pixels.astype(np.min_scalar_type(-1 - int(pixels.max())))
    if pixels.dtype.kind == "i":
        pixels = pixels.astype(np.promote_types(pixels.dtype, np.int16), copy=False)
    if masked is not None:
        pixels[masked] = NOTHING
    return pixels
