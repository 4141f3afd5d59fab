"""Some numbers of each study, found by its id, without an object for each study.

Axes: s number, of all studies one after the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped

from simcrop.files.text_list import TextList


@dataclass(frozen=True, eq=False)
class ByStudy(Mapping[str, np.ndarray]):
    """`ids` in order; `starts`: where the numbers of each begin in `flat`, and the end of the last."""

    ids: TextList
    starts: Int64[np.ndarray, " _"]
    flat: Shaped[np.ndarray, " _"]

    @classmethod
    def of(cls, ids: Sequence[str], values: Sequence[np.ndarray], dtype: type) -> "ByStudy":
        """In any order of the ids."""
        order = sorted(range(len(ids)), key=ids.__getitem__)
        flat = np.concatenate([np.zeros(0, dtype), *(values[i] for i in order)]).astype(dtype)
        starts = np.cumsum([0, *(len(values[i]) for i in order)], dtype=np.int64)
        return cls(TextList.of(ids[i] for i in order), starts, flat)

    def __getitem__(self, id: str) -> np.ndarray:
        place = self.ids.place(id, 0, len(self.ids))
        if place is None:
            raise KeyError(id)
        return self.flat[self.starts[place] : self.starts[place + 1]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)
