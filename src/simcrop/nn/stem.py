"""What a patch says at first sight: hand-made statistics of its voxels, and how unusual they are at its place.

One linear map of two thousand voxels averages a small dense thing away; its largest voxel, or the share of voxels as
dense as it, does not. Our extension, not in the paper.

Axes: b batch, n all patches, v visible patches, p voxel of a patch, f statistic, d features; voxels in [-1, 1].
"""

from functools import partial
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu

from simcrop.jit import compiled
from simcrop.nn.patch import PatchGrid

# From one to the next: air of a hole, lung, haze, tissue, bone. In HU: -1000, -930, -750, -200, 150, 1000.
DENSITIES = (-1.0, -0.93, -0.75, -0.2, 0.15, 1.0)
STATISTICS = 4 + len(DENSITIES) - 1
MIN_SPREAD = 0.01  # where the cohort varies less than noise does, noise must not be blown up
CLIP_SIGMA = 5.0  # standard deviations


def statistics_of(patches: Float[Tensor, "b v p"]) -> Float[Tensor, "b v f"]:
    """Mean, deviation, largest and smallest voxel, and the share of voxels in each range of density."""
    if patches.device.type == "cpu" and not patches.requires_grad:
        rows = patches.detach().float().contiguous().numpy()
        found = np.empty((*rows.shape[:2], STATISTICS), np.float32)
        measure_rows(
            rows.reshape(-1, rows.shape[2]), np.asarray(DENSITIES, np.float32), found.reshape(-1, STATISTICS)
        )
        return torch.from_numpy(found)
    shares = [((patches > low) & (patches <= high)).float().mean(-1) for low, high in pairwise(DENSITIES)]
    whole = [patches.mean(-1), patches.std(-1, correction=0), patches.amax(-1), patches.amin(-1)]
    return torch.stack([*whole, *shares], dim=-1)


@partial(compiled, fastmath=True)  # sums in any order, or they would be one voxel at a time
def measure_rows(rows: np.ndarray, edges: np.ndarray, found: np.ndarray) -> None:
    """The same for each row of voxels, on a processor: there torch would go through memory twenty times."""
    above, none, one = np.empty(len(edges), np.float32), np.float32(0), np.float32(1)
    for r in range(len(rows)):
        row, size = rows[r], np.float32(rows.shape[1])
        total, squares, least, most = none, none, row[0], row[0]
        for i in range(row.size):
            total += row[i]
        mean = total / size
        for i in range(row.size):
            squares += (row[i] - mean) * (row[i] - mean)
        for i in range(row.size):
            least, most = min(least, row[i]), max(most, row[i])
        for e in range(len(edges)):
            count, edge = none, edges[e]
            for i in range(row.size):
                count += one if row[i] > edge else none
            above[e] = count
        found[r, 0], found[r, 1], found[r, 2], found[r, 3] = mean, np.sqrt(squares / size), most, least
        for e in range(len(edges) - 1):
            found[r, 4 + e] = (above[e] - above[e + 1]) / size


class StatisticsStem(nn.Module):
    """Patches as tokens by their statistics, twice: as they are, and as standard deviations from what is usual at that
    place. What is usual, `mean` and `spread` `(n, f)`, is learned from a cohort before training.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, grid: PatchGrid, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(grid.count, STATISTICS))
        self.register_buffer("spread", torch.ones(grid.count, STATISTICS))
        self.hidden = nn.Linear(2 * STATISTICS, width)
        self.out = nn.Linear(width, width)

    def learn(self, mean: Float[Tensor, "n f"], deviation: Float[Tensor, "n f"]) -> None:
        """Take the mean and the standard deviation of a cohort's statistics at each place."""
        self.mean.copy_(mean)
        self.spread.copy_(deviation + MIN_SPREAD)

    def forward(
        self, patches: Float[Tensor, "b v p"], keep: Int[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b v d"]:
        """`keep`: which places of the grid the patches come from; all of them, in order, when not given."""
        found = statistics_of(patches.float())
        mean, spread = (self.mean, self.spread) if keep is None else (self.mean[keep], self.spread[keep])
        unusual = ((found - mean) / spread).clamp(-CLIP_SIGMA, CLIP_SIGMA)
        # Over all places, so that as a number among others each statistic counts about as much.
        plain = (found - self.mean.mean(0)) / (
            self.spread.square().mean(0) + self.mean.var(0, correction=0)
        ).sqrt()
        return self.out(gelu(self.hidden(torch.cat([plain, unusual], dim=-1))))
