"""The tokens of many scans, read as they are needed and never held all at once.

Axes: b scan of a batch, n token, d features. Scans may differ in how many tokens they have.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Tokens:
    """`read` gives the tokens `(n, d)` of the scan at a place; `places` are those of the scans that are meant."""

    read: Callable[[int], np.ndarray]
    places: np.ndarray
    width: int

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: np.ndarray) -> "Tokens":
        """Some of the scans, by number or by truth value, as an array is indexed."""
        return Tokens(self.read, self.places[rows], self.width)

    def batch(self, rows: np.ndarray) -> tuple[Float[Tensor, "b n d"], Bool[Tensor, "b n"] | None]:
        """Float32 tokens of these scans; where they differ in number, zeros behind, and which of them are there."""
        found = [self.read(int(place)) for place in self.places[rows]]
        longest = max(map(len, found))
        if all(len(each) == longest for each in found):
            return torch.from_numpy(np.stack(found)).float(), None
        tokens, there = (
            torch.zeros(len(found), longest, self.width),
            torch.zeros(len(found), longest, dtype=torch.bool),
        )
        for i, each in enumerate(found):
            tokens[i, : len(each)], there[i, : len(each)] = torch.from_numpy(each.astype(np.float32)), True
        return tokens, there


Features = np.ndarray | Tokens  # a vector of each scan `(s, d)`, or all tokens of each
VECTORS_AT_ONCE, SCANS_AT_ONCE = 4096, 16


def width_of(features: Features) -> int:
    return features.width if isinstance(features, Tokens) else features.shape[1]


def batch_of(features: Features, rows: np.ndarray) -> tuple[Tensor, Tensor | None]:
    """Vectors `(b, d)`, or tokens `(b, n, d)` and which of them are there."""
    if isinstance(features, Tokens):
        return features.batch(rows)
    return torch.from_numpy(np.ascontiguousarray(features[rows], np.float32)), None


def at_once(features: Features) -> int:
    """Scans whose values are in memory at the same time."""
    return SCANS_AT_ONCE if isinstance(features, Tokens) else VECTORS_AT_ONCE
