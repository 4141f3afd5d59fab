"""Damage to bytes that knows nothing of formats: cuts, flips, gaps, repetitions, runs of one byte.

No axes or units. Every function takes the bytes and a generator, and gives other bytes.
"""

from collections.abc import Callable

import numpy as np

Random = np.random.Generator
EDGE = 420  # bytes at either end in which formats keep their headers, directories and checksums


def place_in(content: bytes, random: Random) -> int:
    """Any byte, but those near the ends more often."""
    length = max(len(content), 1)
    near = int(random.integers(min(EDGE, length)))
    return (near, length - 1 - near, int(random.integers(length)))[int(random.integers(3))]


def cut(content: bytes, random: Random) -> bytes:
    return content[: place_in(content, random)]


def cut_front(content: bytes, random: Random) -> bytes:
    return content[1 + place_in(content, random) // 8 :]


def flip_bit(content: bytes, random: Random) -> bytes:
    at = place_in(content, random)
    return content[:at] + bytes([content[at] ^ (1 << int(random.integers(8)))]) + content[at + 1 :]


def other_bytes(content: bytes, random: Random) -> bytes:
    """One to eight bytes replaced by chance."""
    at, count = place_in(content, random), int(random.integers(1, 9))
    return content[:at] + random.bytes(count) + content[at + count :]


def run(content: bytes, random: Random) -> bytes:
    """Up to 64 bytes become NUL, 0xff or a blank."""
    at, count = place_in(content, random), int(random.integers(1, 65))
    return content[:at] + bytes([int(random.choice([0, 255, 32]))]) * count + content[at + count :]


def gap(content: bytes, random: Random) -> bytes:
    at = place_in(content, random)
    return content[:at] + content[at + int(random.integers(1, 40)) :]


def insertion(content: bytes, random: Random) -> bytes:
    at = place_in(content, random)
    return content[:at] + random.bytes(int(random.integers(1, 40))) + content[at:]


def repetition(content: bytes, random: Random) -> bytes:
    at, count = place_in(content, random), int(random.integers(1, 200))
    return content[: at + count] + content[at:]


def tail(content: bytes, random: Random) -> bytes:
    """Something follows what should be the end."""
    return content + (random.bytes(200), bytes(5000), content)[int(random.integers(3))]


def extreme_number(content: bytes, random: Random) -> bytes:
    """A number of 2, 4 or 8 bytes becomes one at the end of its range, or NaN or infinity, in either order."""
    width = int(random.choice([2, 4, 8]))
    numbers = [0, 1, 2**15, 2**31, 2**63, 2**16 - 1, 2**32 - 1, 2**64 - 1, 0x7F800000, 0x7FC00000, 0x7E000000]
    value = int(numbers[int(random.integers(len(numbers)))]) % 2 ** (8 * width)
    at = place_in(content, random) & ~1
    return (
        content[:at]
        + value.to_bytes(width, ("little", "big")[int(random.integers(2))])
        + content[at + width :]
    )


DAMAGE: list[Callable[[bytes, Random], bytes]] = [
    cut,
    cut_front,
    flip_bit,
    other_bytes,
    run,
    gap,
    insertion,
    repetition,
    tail,
    extreme_number,
]
