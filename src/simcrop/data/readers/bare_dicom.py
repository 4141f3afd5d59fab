"""Slices of old scanners and archives that begin with their data set: no preamble, no word DICM, often no ending.

No axes or units. Told from other files by the first elements themselves, of either byte order, of which nothing is
believed that the standard does not allow there.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

META, IDENTIFYING = 0x0002, 0x0008  # the groups of which one comes first in every DICOM file
STORAGE = ((META, 0x0002), (IDENTIFYING, 0x0016))  # media storage and SOP class
NOT_TEXT = (0x0000, 0x0001)  # elements of both groups: lengths and a version
LONGEST_VALUE = 4096  # bytes of one value in these groups
UNDEFINED = 0xFFFFFFFF
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


@dataclass(frozen=True)
class Element:
    """As far as its bytes were there."""

    tag: tuple[int, int]
    value: bytes


def begins_data_set(start: bytes) -> bool:
    """Whether the first bytes of a file are two sound elements or more, and nothing else."""
    try:
        return len(list(elements(start))) > 1
    except ValueError:
        return False


def bare_storage(start: bytes) -> str:
    """The storage class, if it stands within the first bytes."""
    with suppress(ValueError):  # of what follows it nothing is asked
        for element in elements(start):
            if element.tag in STORAGE:
                return element.value.decode("ascii", "replace").strip("\0 ")
    return ""


def elements(start: bytes) -> Iterator[Element]:
    """Those of the first two groups in their order. Raises ValueError where the bytes are none."""
    at, before, order = 0, (0, 0), ">" if start[:1] == b"\0" else "<"
    while at + 12 <= len(start):
        group, number, kind, short, long = struct.unpack_from(f"{order}HH2sHI", start, at)
        if at and group > IDENTIFYING:
            return
        if group not in (META, IDENTIFYING) or (group, number) <= before:
            raise ValueError
        head, length = (12, long) if kind in LONG_VRS else (8, short)
        if kind not in LONG_VRS | SHORT_VRS:
            if order == ">":  # of which the standard knows only the explicit kind
                raise ValueError
            (length,) = struct.unpack_from("<I", start, at + 4)
        value = start[at + head : at + head + min(length, LONGEST_VALUE)]
        if kind != b"SQ" and not is_plausible(number, value, length):
            raise ValueError
        yield Element((group, number), value)
        if length == UNDEFINED:
            return
        at, before = at + head + length, (group, number)


def is_plausible(number: int, value: bytes, length: int) -> bool:
    """An even length, and text where only text can stand."""
    if number > 0x0100:  # sequences and private values, too
        return length == UNDEFINED or length % 2 == 0
    if length % 2 or length > LONGEST_VALUE:
        return False
    return number in NOT_TEXT or not any(byte < 0x20 and byte not in b"\0\x1b" for byte in value)
