"""Many texts without an object for each: their bytes one after the other, to be kept in a file and mapped.

Axes: u text, n byte.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

import numpy as np
from jaxtyping import Int64, UInt8


@dataclass(frozen=True, eq=False)
class TextList(Sequence[str]):
    """`content`: UTF-8; `starts`: where each text begins, and the end of the last."""

    content: UInt8[np.ndarray, " _"]
    starts: Int64[np.ndarray, " _"]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TextList":
        """Half characters, as damaged reports have them, are kept as they are."""
        raw = [text.encode("utf-8", "surrogatepass") for text in texts]
        starts = np.fromiter(accumulate(map(len, raw), initial=0), np.int64, len(raw) + 1)
        return cls(np.frombuffer(bytearray().join(raw), np.uint8), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self[one] for one in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"text {i} of {len(self)}")
        i %= len(self)
        return self.content[self.starts[i] : self.starts[i + 1]].tobytes().decode("utf-8", "surrogatepass")

    def place(self, text: str, low: int, high: int) -> int | None:
        """Where it stands among the texts from `low` to `high`, which are in order; None where it does not."""
        found = bisect_left(self, text, low, high)
        return found if found < high and self[found] == text else None
