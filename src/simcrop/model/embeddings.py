"""What became of many scans: one vector of each that could be read, and why the others could not.

Axes: s scan, d features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from simcrop.model.scans import Refused


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Rows in the order in which the scans were given. `vectors`: float32 `(s, d)`; `names`: of each row, its path as
    it was given, or `scan N` of a volume; `places`: int64 `(s,)`, where each row stood among the scans, from 0, so
    that `labels[found.places]` fits; `refused`: the others, in the same order.
    """

    vectors: Float32[np.ndarray, "s d"]
    names: tuple[str, ...]
    places: Int64[np.ndarray, " s"]
    refused: tuple[Refused, ...]

    def __len__(self) -> int:
        return len(self.names)


def sorted_out(
    vectors: Float32[np.ndarray, "s d"],
    names: Sequence[str],
    places: Sequence[int],
    refused: Sequence[Refused],
) -> Embeddings:
    """A vector that is no numbers would spoil whatever is made of all of them: its scan is refused, too."""
    sound = np.asarray(np.isfinite(vectors).all(1))
    spoiled = [
        Refused(name, place, "not-finite", f"{name}: its features are no numbers")
        for name, place, ok in zip(names, places, sound, strict=True)
        if not ok
    ]
    kept = np.flatnonzero(sound).tolist()
    others = sorted([*refused, *spoiled], key=lambda scan: scan.place)
    at = np.array(places, np.int64)[kept]
    return Embeddings(vectors[kept], tuple(names[row] for row in kept), at, tuple(others))
