"""Slices that lie in a folder twice, as `IM3.dcm` and `IM3 (1).dcm`: the first is read, if nothing tells them apart.

Lengths in LPS mm. Pictures at one position that differ in anything are no copies, and the series is refused for them.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields

import numpy as np

from simcrop.data.readers.series import Slice
from simcrop.data.readers.series_choice import Found

OF_THE_FILE = ("index", "name")


def without_copies(pictures: Iterable[Found], pixels: Callable[[Slice], object]) -> list[Found]:
    """`pixels` are what a slice stores, and are asked of those alone that bear one SOPInstanceUID."""
    kept, first = list[Found](), dict[tuple[str, str], Slice]()
    for picture in pictures:
        one = picture.slice
        if isinstance(one, Slice) and one.instance:
            other = first.setdefault((one.series, one.instance), one)
            if other is not one and says_the_same(one, other) and pixels(one) == pixels(other):
                continue
        kept.append(picture)
    return kept


def says_the_same(one: Slice, other: Slice) -> bool:
    names = [field.name for field in fields(Slice) if field.name not in OF_THE_FILE]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
