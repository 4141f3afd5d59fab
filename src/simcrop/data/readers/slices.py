"""A scan as numbered 8-bit pictures, in a folder or inside a zip: what CC-CCII keeps. Nothing is extracted to disk.

Axes: columns run to the patient's left, rows to the back, numbers to the feet, as radiologists look at slices. The
pictures state neither size nor density, so both are assumed: the field below in mm, the window below in HU.
"""

import re
import struct
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from simcrop.data.readers.archive import checked_members, open_zip
from simcrop.data.readers.links import check_inside
from simcrop.data.readers.stored import Stored, check_promise, shape_3d
from simcrop.errors import SimcropError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
WINDOW_HU = (-1250.0, 250.0)  # of the grey values 0 and 255: a common lung window
# Left-right, front-back, head-feet: about a chest, however many slices cut it.
FIELD_MM = (350.0, 350.0, 320.0)
LARGEST_SIDE = 4096
NOTES = (
    "guessed a field of {:g} x {:g} x {:g} mm, as 8-bit slices have no geometry".format(*FIELD_MM),
    "guessed slices numbered from head to feet, seen from the feet, as pictures state no sides",
)


@dataclass(frozen=True)
class Picture:
    """One slice wherever it lies."""

    name: str
    size: int  # bytes on disk, compressed
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    @property
    def number(self) -> int | None:
        """The last run of digits in its name."""
        digits = re.findall(r"\d+", PurePosixPath(self.name).stem)
        return int(digits[-1]) if digits and len(digits[-1]) < 10 else None


def is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURES) and not PurePosixPath(name).name.startswith("._")


def holds_slices(folder: Path) -> bool:
    """Whether pictures, numbered by their names, are all the scan there is."""
    names = [path.name for path in folder.iterdir()]
    return sum(map(is_picture, names)) > 1 and all(is_picture(n) or n.startswith(".") for n in names)


def read_slice_folder(path: Path) -> Stored:
    """The pictures directly in a folder; a pipe or a link out of it would be no slice of this scan."""
    found = [p for p in sorted(path.iterdir()) if is_picture(p.name)]
    for one in found:
        if not one.is_file():
            raise SimcropError("unreadable", f"{one.name} is no plain file, expected a picture")
        check_inside(one, path)
    return stack([Picture(p.name, p.stat().st_size, partial(p.open, "rb")) for p in found])


def zip_above(path: Path) -> Path | None:
    """The archive of a path such as `NCP-8.zip/NCP/25/1181`."""
    return next((p for p in path.parents if p.suffix.lower() == ".zip" and p.is_file()), None)


def read_zipped_slices(path: Path) -> Stored:
    """The pictures directly below one folder of a zip."""
    home = zip_above(path)
    assert home is not None
    folder = PurePosixPath(path.relative_to(home).as_posix())
    with open_zip(home) as archive:
        members = [m for m in checked_members(archive) if PurePosixPath(m.filename).parent == folder]
        pictures = [m for m in members if is_picture(m.filename)]
        return stack(
            [
                Picture(PurePosixPath(m.filename).name, m.compress_size, partial(archive.open, m))
                for m in pictures
            ]
        )


def stack(pictures: list[Picture]) -> Stored:
    """All slices in the order of their numbers; a number that is absent or comes twice is refused."""
    if not pictures:
        raise SimcropError("no-scan", "no picture lies directly in it, expected numbered slices")
    ordered = in_order(pictures)
    slices: np.ndarray | None = None
    for z, picture in enumerate(ordered):
        grey = read_picture(picture)
        if slices is None:
            check_promise(grey.size * len(ordered), sum(p.size for p in ordered), compressed=True)
            slices = np.empty(shape_3d((len(ordered), *grey.shape)), np.uint8)
        if grey.shape != slices.shape[1:]:
            raise SimcropError("mixed-geometry", f"{ordered[0].name} and {picture.name} differ in size")
        slices[z] = grey
    assert slices is not None
    values = slices.transpose(2, 1, 0)
    spacing = np.divide(FIELD_MM, values.shape)
    low, high = WINDOW_HU
    affine = np.diag([*-spacing, 1.0])
    return Stored(affine, (high - low) / 255, low, "slices", sized=False, notes=NOTES, values=values)


def in_order(pictures: list[Picture]) -> list[Picture]:
    numbered = {p.number: p for p in pictures}
    numbers = sorted(n for n in numbered if n is not None)
    if len(numbers) < len(pictures):
        raise SimcropError("duplicate-slices", "two slices have the same number, or one has none in its name")
    gap = next((a for a, b in pairwise(numbers) if b > a + 1), None)
    if gap is not None:
        raise SimcropError("missing-slices", f"slice {gap + 1} is missing from {numbers[0]} to {numbers[-1]}")
    return [numbered[n] for n in numbers]


def read_picture(picture: Picture) -> np.ndarray:
    """uint8 `(row, column)`; a colour picture passes when it is grey all the same."""
    from PIL import Image

    try:
        with warnings.catch_warnings(), picture.open() as file:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file, formats=["PNG", "JPEG", "BMP"])
            check_picture(picture.name, image.mode, image.size)
            pixels = np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SimcropError("absurd-size", f"{picture.name} has more pixels than any slice") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise SimcropError("truncated-file", f"{picture.name} is no whole picture") from error
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.ndim != 2:
        raise SimcropError("not-scalar", f"{picture.name} is in colour, expected grey values")
    return pixels


def check_picture(name: str, mode: str, size: tuple[int, int]) -> None:
    if mode not in ("L", "RGB"):
        raise SimcropError(
            "not-scalar", f"{name} holds pixels of the kind {mode}, expected 8-bit grey values"
        )
    if max(size) > LARGEST_SIDE:
        raise SimcropError("absurd-size", f"{name} has {size[0]} x {size[1]} pixels, more than any slice")
