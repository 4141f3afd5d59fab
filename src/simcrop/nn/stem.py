"""What a patch says at first sight: hand-made statistics of its voxels, and how unusual they are at its place.

One linear map of two thousand voxels averages a small dense thing away; its largest voxel, or the share of voxels as
dense as it, does not. Our extension, not in the paper.

Axes: b batch, n all patches, v visible patches, p voxel of a patch, c cell of a patch, f
statistic, d features; voxels in [-1, 1].
"""

from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu

from simcrop.device import numbers_at_hand
from simcrop.errors import SimcropError
from simcrop.jit import compiled
from simcrop.nn.patch import PatchGrid, Triple
from simcrop.nn.threads import in_parts

# From one to the next: air of a hole, lung, haze, tissue, bone. In HU: -1000, -930, -750, -200, 150, 1000.
DENSITIES = (-1.0, -0.93, -0.75, -0.2, 0.15, 1.0)
SOME = 256  # patches: fewer are measured sooner than another thread begins
STATISTICS = 4 + len(DENSITIES) - 1
MIN_SPREAD = 0.01  # where the cohort varies less than noise does, noise must not be blown up
CLIP_SIGMA = 5.0  # standard deviations


def statistics_of(patches: Float[Tensor, "b v p"]) -> Float[Tensor, "b v f"]:
    """Mean, deviation, largest and smallest voxel, and the share of voxels in each range of density."""
    if numbers_at_hand(patches) and not patches.requires_grad:
        return measured(patches, (1, 1, patches.shape[2]), (1, 1, patches.shape[2]))[:, :, 0]
    shares = [((patches > low) & (patches <= high)).float().mean(-1) for low, high in pairwise(DENSITIES)]
    whole = [patches.mean(-1), patches.std(-1, correction=0), patches.amax(-1), patches.amin(-1)]
    return torch.stack([*whole, *shares], dim=-1)


def measured(patches: Float[Tensor, "b v p"], shape: Triple, cell: Triple) -> Float[Tensor, "b v c f"]:
    """The same of every cell of patches of a shape; on a processor torch would go through memory twenty times."""
    boxes = patches.detach().float().contiguous().numpy().reshape(-1, *shape)
    count = prod(n // edge for n, edge in zip(shape, cell, strict=True))
    found = np.empty((*patches.shape[:2], count, STATISTICS), np.float32)
    edges, rows = np.asarray(DENSITIES, np.float32), found.reshape(len(boxes), count, STATISTICS)
    in_parts(len(boxes), lambda part: measure_cells(boxes[part], cell, edges, rows[part]), SOME)
    return torch.from_numpy(found)


@compiled
def measure_cells(
    boxes: np.ndarray, cell: tuple[int, int, int], edges: np.ndarray, found: np.ndarray
) -> None:
    """Cells are copied from where they lie, one after the other, to where they stay in the cache."""
    cx, cy, cz = cell
    gx, gy, gz = boxes.shape[1] // cx, boxes.shape[2] // cy, boxes.shape[3] // cz
    here = np.empty((cx, cy, cz), np.float32)
    for b in range(len(boxes)):
        for c in range(gx * gy * gz):
            x, y, z = c // (gy * gz) * cx, c // gz % gy * cy, c % gz * cz
            here[:] = boxes[b, x : x + cx, y : y + cy, z : z + cz]
            measure_rows(here.reshape(1, -1), edges, found[b, c : c + 1])


@partial(compiled, fastmath=True)  # sums in any order, or they would be one voxel at a time
def measure_rows(rows: np.ndarray, edges: np.ndarray, found: np.ndarray) -> None:
    """Each row of voxels."""
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


class Pooled(torch.autograd.Function):
    """Maximum and mean over cells, side by side. As with torch's own two, equal maxima share their gradient; the way
    back goes through memory twice instead of seven times.
    """

    @staticmethod
    def forward(ctx: Any, read: Float[Tensor, "b v c d"]) -> Float[Tensor, "b v e"]:  # type: ignore[override]
        most = read.amax(2)
        ctx.save_for_backward(read, most)
        return torch.cat([most, read.mean(2)], dim=-1)

    @staticmethod
    def backward(ctx: Any, grad: Float[Tensor, "b v e"]) -> Float[Tensor, "b v c d"]:  # type: ignore[override]
        read, most = ctx.saved_tensors
        of_most, of_mean = grad.chunk(2, dim=-1)
        of_mean = of_mean / read.shape[2]
        largest = read == most[:, :, None]
        few = read.shape[2] < 256  # bytes are counted ten times as fast as anything else
        count = largest.sum(2, dtype=torch.uint8 if few else torch.int32)
        return torch.where(largest, (of_most / count + of_mean)[:, :, None], of_mean[:, :, None])


class StatisticsStem(nn.Module):
    """Patches as tokens by the statistics of their cells, twice: as they are, and as standard deviations from what is
    usual at that place. What is usual, `mean` and `spread` `(n, c, f)`, is learned from a cohort before training.

    `cells`: how many boxes a patch is cut into along each axis. All are read alike, and the patch takes the maximum
    and the mean of what was read: a thing much smaller than the patch stands out in a cell.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, grid: PatchGrid, width: int, cells: Triple = (1, 1, 1)) -> None:
        super().__init__()
        if any(p % c for p, c in zip(grid.patch, cells, strict=True)):
            raise SimcropError(
                "bad-setting", f"a patch of {grid.patch} voxels cannot be cut into {cells} equal cells"
            )
        x, y, z = (p // c for p, c in zip(grid.patch, cells, strict=True))
        self.cells = PatchGrid(grid.patch, (x, y, z))
        count = self.cells.count
        self.register_buffer("mean", torch.zeros(grid.count, count, STATISTICS))
        self.register_buffer("spread", torch.ones(grid.count, count, STATISTICS))
        self.hidden = nn.Linear(2 * STATISTICS, width)
        self.out = nn.Linear(width if count == 1 else 2 * width, width)

    def measure(self, patches: Float[Tensor, "b v p"]) -> Float[Tensor, "b v c f"]:
        """Statistics of every cell."""
        if numbers_at_hand(patches) and not patches.requires_grad:
            return measured(patches, self.cells.volume, self.cells.patch)
        x, y, z = self.cells.volume
        boxes = rearrange(patches.float(), "b v (x y z) -> (b v) 1 x y z", x=x, y=y, z=z)
        return rearrange(statistics_of(self.cells.split(boxes)), "(b v) c f -> b v c f", b=patches.shape[0])

    def learn(self, mean: Float[Tensor, "n c f"], deviation: Float[Tensor, "n c f"]) -> None:
        """Take the mean and the standard deviation of a cohort's statistics at each place."""
        self.mean.copy_(mean)
        self.spread.copy_(deviation + MIN_SPREAD)

    def forward(
        self, patches: Float[Tensor, "b v p"], keep: Int[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b v d"]:
        """`keep`: which places of the grid the patches come from; all of them, in order, when not given."""
        found = self.measure(patches)
        mean, spread = (self.mean, self.spread) if keep is None else (self.mean[keep], self.spread[keep])
        unusual = ((found - mean) / spread).clamp(-CLIP_SIGMA, CLIP_SIGMA)
        # Over all places, so that as a number among others each statistic counts about as much.
        every = self.spread.square().mean((0, 1)) + self.mean.var((0, 1), correction=0)
        plain = (found - self.mean.mean((0, 1))) / every.sqrt()
        read = gelu(self.hidden(torch.cat([plain, unusual], dim=-1)))
        if self.cells.count == 1:
            return self.out(read[:, :, 0])
        return self.out(Pooled.apply(read))  # type: ignore[no-untyped-call]
