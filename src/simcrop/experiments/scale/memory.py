"""Memory of one GPU in training, and how many scans at once fit into it. No axes; in GB of 10^9 bytes."""

from dataclasses import dataclass

from simcrop.config import load_recipe
from simcrop.experiments.scale.request import PlanRequest
from simcrop.experiments.speeds import line, speeds
from simcrop.tasks.training.cost import Cost
from simcrop.tasks.training.counted import counted

FREE = 0.9  # of what a GPU has: the rest is torch's own, and gaps
PAPER = "simcrop-paper"  # at which memory was measured


@dataclass(frozen=True)
class Memory:
    """Of one GPU, in GB. `largest`: scans at once that fit, 0 where not even one does; `micro_batch`: how many are
    taken at once, so that the share of a GPU is whole.
    """

    free_gb: float
    fixed_gb: float
    scan_gb: float
    largest: int
    micro_batch: int

    @property
    def used_gb(self) -> float:
        return self.fixed_gb + max(1, self.micro_batch) * self.scan_gb


def memory_of(asked: PlanRequest, cost: Cost) -> Memory:
    """Counted, and as much more per scan as was measured more than counted at the paper's size."""
    _, measured = line(list(speeds().training.peak_gib))
    more = measured * 2**30 / counted(load_recipe(PAPER)).bytes_per_scan
    free, fixed = FREE * asked.device.memory_gb, cost.bytes_fixed / 1e9
    scan = more * cost.bytes_per_scan / 1e9
    largest = max(0, int((free - fixed) / scan))
    wanted = asked.recipe.engine.micro_batch or asked.batch
    micro = max((n for n in range(1, min(largest, wanted) + 1) if asked.batch % n == 0), default=0)
    return Memory(free, fixed, scan, largest, micro)
