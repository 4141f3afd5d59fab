"""Which classes lie on a side of the body, by their names: `left lung`, `Right Lung`, `kidney_left`.

No axes or units.
"""

import re
from collections.abc import Iterable

SIDE = re.compile(r"(?<![^\W_])(left|right)(?![^\W_])", re.IGNORECASE)  # `_` stands between words, too


def sided(names: Iterable[str]) -> list[str]:
    """Those that a mirror would turn into others."""
    return [name for name in names if SIDE.search(name)]


def twins(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name of a left part beside that of its right twin, whatever their capitals."""
    names = list(names)
    by_words = {name.lower(): name for name in names}
    lefts = [name for name in names if any(side.lower() == "left" for side in SIDE.findall(name))]
    pairs = [(name, by_words.get(SIDE.sub("right", name).lower())) for name in lefts]
    return [(left, right) for left, right in pairs if right is not None]
