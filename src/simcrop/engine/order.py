"""Which sample comes when: a pure function of the seed and the step, so that a resumed run misses nothing.

No state is kept. Position p of the endless stream of samples belongs to epoch p // count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class SampleDraw:
    """One sample to read: its index in the data set, and the seed of everything random about it."""

    index: int
    seed: int


@dataclass(frozen=True)
class SampleOrder:
    """Epoch after epoch of seeded permutations, cut into global batches of `batch` samples."""

    count: int
    batch: int
    seed: int

    def draws(self, step: int) -> list[SampleDraw]:
        """The global batch of a step."""
        first = step * self.batch
        return [self.draw(position) for position in range(first, first + self.batch)]

    def draw(self, position: int) -> SampleDraw:
        epoch, within = divmod(position, self.count)
        return SampleDraw(
            int(permutation(self.count, self.seed, epoch)[within]), step_seed(self.seed, 1, position)
        )

    def epoch(self, step: int) -> float:
        """Epochs passed when `step` steps are done."""
        return step * self.batch / self.count


@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def step_seed(seed: int, *key: int) -> int:
    """A seed of 63 bits for one purpose, from the run's seed and a key."""
    return int(np.random.SeedSequence((seed, *key)).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(frozen=True)
class RankShare:
    """What one process takes of every global batch, in micro-batches of equal size."""

    rank: int
    world: int
    micro: int

    def of(self, draws: list[SampleDraw]) -> list[list[SampleDraw]]:
        per_rank = len(draws) // self.world
        mine = draws[self.rank * per_rank : (self.rank + 1) * per_rank]
        return [mine[i : i + self.micro] for i in range(0, per_rank, self.micro)]

    def first(self, number: int, count: int) -> int:
        """Place in the global batch of the first sample of this process's micro-batch `number`, of `count`."""
        return (self.rank * count + number) * self.micro


class MicroBatchSampler(Sampler[list[SampleDraw]]):
    """For a DataLoader: the micro-batches of this process from one step to another."""

    def __init__(self, order: SampleOrder, share: RankShare, start: int, stop: int) -> None:
        self.order, self.share, self.start, self.stop = order, share, start, stop

    def __iter__(self) -> Iterator[list[SampleDraw]]:
        for step in range(self.start, self.stop):
            yield from self.share.of(self.order.draws(step))

    def __len__(self) -> int:
        return (self.stop - self.start) * len(self.share.of([SampleDraw(0, 0)] * self.order.batch))
