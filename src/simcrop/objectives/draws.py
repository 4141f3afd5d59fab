"""What is random about a batch: a stream of numbers for each sample, so that neither the size of a micro-batch nor the
number of processes changes what a run draws.

Axes: b study.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from simcrop.data.samples.batch import Batch

PATCHES, WORDS, VIEW, SKIP, MATCH = range(5)  # what is drawn; a stream for each


@dataclass(frozen=True)
class Draws:
    """Of the samples of a micro-batch. `seed`: of the step, the same for all of a global batch; `first`: place of the
    first of these samples in it.
    """

    batch: Batch
    seed: int
    first: int = 0

    def uniform(self, purpose: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers in [0, 1), `(b, *shape)`; those of a shorter first axis are where the others begin."""
        kind = np.float64 if dtype == torch.float64 else np.float32
        drawn = np.empty((len(self.batch), *shape), kind)
        seeds = self.batch.seeds or (0,) * len(self.batch)
        for place, seed in enumerate(seeds):
            stream = np.random.default_rng((seed, self.seed, self.first + place, purpose))
            drawn[place] = stream.random(shape, kind)  # type: ignore[call-overload]
        return torch.from_numpy(drawn)

    def once(self, purpose: int) -> float:
        """One number in [0, 1) for the whole step."""
        return float(np.random.default_rng((self.seed, purpose)).random())

    def some(self, share: float) -> list[int]:
        """Places of the samples that belong to this share of the global batch, evenly spread over it: a batch is in
        random order, so they are some at random. At least its first.
        """
        upto = [ceil(share * (self.first + place) - 1e-9) for place in range(len(self.batch) + 1)]
        return [place for place in range(len(self.batch)) if upto[place + 1] > upto[place]]
