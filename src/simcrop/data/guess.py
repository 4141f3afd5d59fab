"""What a reader assumes of a scan because its file does not say it: always a note, always told by the same word.

No axes. A note stands in the ledger and in `Volume.notes`; `simcrop check`, `ground` and `embed` repeat it. It quotes
no header, and has no colon and no semicolon, which divide notes from one another and from what headers say.
"""

import re
from collections.abc import Iterable

import numpy as np
from nibabel.orientations import aff2axcodes

WORD = re.compile(r"\b(guessed|assumed|taken as)\b")
GUESSED = "guessed "
SIZE, SIDES, POSITION = f"{GUESSED}voxels of", f"{GUESSED}axes", f"{GUESSED}position 0"


def size_guess(spacing_mm: np.ndarray | Iterable[float], why: str) -> str:
    """Of voxels whose size nobody stated."""
    return f"{SIZE} {' x '.join(f'{mm:.4g}' for mm in spacing_mm)} mm, as {why}"


def sides_guess(letters: str, why: str) -> str:
    """Of axes whose direction nobody stated; `letters` such as `LPS` say where each one grows."""
    return f"{SIDES} {', '.join(letters)}, as {why}"


def position_guess(why: str) -> str:
    """Of a scan that may lie anywhere."""
    return f"{POSITION}, as {why}"


def guesses_of_a_new_header(affine: np.ndarray, notes: tuple[str, ...]) -> tuple[str, ...]:
    """`notes`, and more where a header says what every one says in which nothing was set: 1 mm, no turn, position 0."""
    if not np.array_equal(np.abs(affine), np.eye(4)) or any(note.startswith((SIZE, SIDES)) for note in notes):
        return notes
    why = "the header says what it says where nothing was set"
    return (*notes, size_guess((1.0, 1.0, 1.0), why), sides_guess("".join(aff2axcodes(affine)), why))


def shown(note: str) -> str:
    """What of a note may stand outside the ledger."""
    return note.partition(":")[0].strip()


def is_guess(note: str) -> bool:
    return WORD.search(note) is not None
