"""A whole scan through a network that sees a window of it at a time: windows that hold only air are left out, and what
the others say is joined with Gaussian weights, row by row, so that no more than one window's rows are held.

Axes: c class (0 is background), x y z voxels of the stored grid, d rows along x. Scans in [-1, 1], air is -1; logits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from simcrop.device import send
from simcrop.errors import SimcropError
from simcrop.nn.patch import Triple

Network = Callable[[Tensor], Tensor]  # windows (b 1 x y z) -> logits (b c x y z)
Progress = Callable[[int, int], None]  # windows done, windows in all

AIR, AIR_BELOW_HU = -1.0, -500.0
SIGMA, LEAST_WEIGHT = 0.125, 1e-3  # of the Gaussian in windows, and what its corners are raised to
UNLIKELY = -30.0  # logit of every class where nothing but air was seen; background's is 0


@dataclass(frozen=True)
class Slab:
    """Finished rows of a scan: `logits` on the processor, from row `start` along x on."""

    start: int
    logits: Float[Tensor, "c d y z"]


@dataclass(frozen=True)
class WindowGrid:
    """Where windows of `window` voxels lie in a scan of `shape`: from each combination of `starts` on, in voxels of the
    scan after `before` voxels of air were put before it, and as many or one more behind it, where it is too small.
    """

    shape: Triple
    window: Triple
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def padded(self) -> Triple:
        x, y, z = (max(pair) for pair in zip(self.shape, self.window, strict=True))
        return x, y, z

    @property
    def before(self) -> Triple:
        x, y, z = ((p - n) // 2 for p, n in zip(self.padded, self.shape, strict=True))
        return x, y, z

    @property
    def behind(self) -> Triple:
        x, y, z = (p - n - b for p, n, b in zip(self.padded, self.shape, self.before, strict=True))
        return x, y, z


def window_grid(shape: Triple, window: Triple, overlap: float) -> WindowGrid:
    """Windows that overlap by this share of their length; the last along each axis ends with the scan."""
    if not 0 <= overlap < 1:
        raise SimcropError("bad-setting", f"windows can overlap by a share from 0 to below 1, got {overlap}")
    if min(shape) < 1:
        raise SimcropError("bad-volume", f"a scan of {shape} voxels holds nothing")
    x, y, z = (starts_along(max(n, w), w, overlap) for n, w in zip(shape, window, strict=True))
    return WindowGrid(shape, window, (x, y, z))


def starts_along(length: int, window: int, overlap: float) -> tuple[int, ...]:
    step = max(int(window * (1 - overlap)), 1)
    return (*range(0, length - window, step), length - window)


def gaussian(window: Triple) -> Float[Tensor, "x y z"]:
    """Weight of every voxel of a window: largest in its middle, where the network sees all around."""
    weights = torch.ones(())
    for length in window:
        line = torch.arange(length, dtype=torch.float32) - (length - 1) / 2
        weights = weights[..., None] * torch.exp(line**2 / (-2 * (SIGMA * length) ** 2))
    return weights.clamp(min=max(weights.min().item(), LEAST_WEIGHT))


def at_once(window: Triple, device: torch.device) -> int:
    """Windows that are fastest together. On a processor large ones go one by one, since what the network makes of more
    does not stay near it: four of 96 x 96 x 48 take a fifth longer than one after the other; small ones fill a batch.
    """
    voxels, most = (2**21, 16) if device.type == "cuda" else (2**18, 4)
    return min(max(voxels // prod(window), 1), most)


def is_air(hu: np.ndarray) -> np.ndarray:
    """Bool: voxels without tissue. In HU, since a narrow window of the network maps fat to -1, too."""
    return hu <= AIR_BELOW_HU


def tissue_box(air: Bool[np.ndarray, "x y z"]) -> tuple[slice, slice, slice] | None:
    """The smallest box around all that is not air; None where all is. What lies outside is background, and windows over
    the box alone are fewer, by a fifth to two fifths where the field of view is wider than the patient.
    """
    found = [np.flatnonzero(~air.all(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    if not len(found[0]):
        return None
    x, y, z = (slice(int(at[0]), int(at[-1]) + 1) for at in found)
    return x, y, z


def rows_of_windows(grid: WindowGrid, air: Bool[np.ndarray, "x y z"] | None) -> list[list[tuple[int, int]]]:
    """For each start along x: where along y and z the windows begin that hold more than air."""
    _, ys, zs = grid.starts
    corners = list(product(ys, zs))
    if air is None:
        return [corners] * len(grid.starts[0])
    return [[(y, z) for y, z in corners if not air[inside(grid, (x, y, z))].all()] for x in grid.starts[0]]


def inside(grid: WindowGrid, corner: Triple) -> tuple[slice, slice, slice]:
    """What of the scan lies in the window at `corner`."""
    x, y, z = (
        slice(max(c - b, 0), max(c - b + w, 0))
        for c, b, w in zip(corner, grid.before, grid.window, strict=True)
    )
    return x, y, z


def with_air(scan: Float[Tensor, "x y z"], grid: WindowGrid) -> Tensor:
    """The scan itself, with air around it where it is smaller than a window."""
    if grid.padded == grid.shape:
        return scan
    edges = [n for pair in zip(grid.before[::-1], grid.behind[::-1], strict=True) for n in pair]
    return functional.pad(scan, edges, value=AIR)


def cut(padded: Tensor, x: int, at: Sequence[tuple[int, int]], window: Triple) -> Float[Tensor, "b 1 x y z"]:
    """The windows at `(y, z)`; a single one is a view of the scan."""
    dx, dy, dz = window
    views = [padded[x : x + dx, y : y + dy, z : z + dz] for y, z in at]
    return views[0][None, None] if len(views) == 1 else torch.stack(views)[:, None]


class Stitch:
    """Weighted sums of the rows that windows still reach, `(c, x, y, z)`, laid out in memory as logits are."""

    def __init__(self, grid: WindowGrid, channels: int, device: torch.device) -> None:
        self.grid, self.channels, self.device, self.start = grid, channels, device, 0
        self.weight = gaussian(grid.window).to(device)
        _, y, z = grid.padded
        self.weights = torch.zeros(grid.window[0], y, z, device=device)
        self.sums: Tensor | None = None  # until the first logits tell how they lie in memory

    def add(self, at: Sequence[tuple[int, int]], logits: Float[Tensor, "b c x y z"]) -> None:
        """Windows that begin at row `start` and at `(y, z)`."""
        _, dy, dz = self.grid.window
        if self.sums is None:
            self.sums = self.empty(logits.stride(1) == 1)
        for (y, z), of_window in zip(at, logits, strict=True):
            here = (slice(None), slice(y, y + dy), slice(z, z + dz))
            self.sums[:, *here].addcmul_(of_window, self.weight)
            self.weights[here].add_(self.weight)

    def empty(self, channels_last: bool) -> Tensor:
        x, y, z = self.weights.shape
        if channels_last:
            return rearrange(torch.zeros(x, y, z, self.channels, device=self.device), "x y z c -> c x y z")
        return torch.zeros(self.channels, x, y, z, device=self.device)

    def finished(self, end: int) -> Iterator[Slab]:
        """The rows before `end`, which no later window reaches, without the air that was put around the scan."""
        count, (left, front, below) = end - self.start, self.grid.before
        x, y, z = self.grid.shape
        inside = (slice(left, left + x), slice(front, front + y), slice(below, below + z))
        yield Slab(self.start, self.mean(count)[:, *inside].cpu())
        self.start = end
        for held in (self.weights, *([] if self.sums is None else [self.sums.movedim(0, -1)])):
            held[:-count] = held[count:].clone()
            held[-count:] = 0

    def mean(self, count: int) -> Float[Tensor, "c d y z"]:
        """Of the first rows; background where nothing was added."""
        weights, nothing = self.weights[:count], self.weights[:count] == 0
        mean = self.empty(False)[:, :count] if self.sums is None else self.sums[:, :count] / weights
        mean[:, nothing] = UNLIKELY
        mean[0, nothing] = 0
        return mean


def logit_slabs(
    scan: Float[Tensor, "x y z"],
    air: Bool[np.ndarray, "x y z"] | None,
    window: Triple,
    network: Network,
    channels: int,
    *,
    overlap: float = 0.5,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Iterator[Slab]:
    """Logits of the whole scan, in rows from low to high x, each as soon as no further window reaches it.

    A window whose voxels are all `air` is not computed (None: all are). A voxel is the mean over the computed windows
    that hold it; one that none holds is background. `channels` of the logits, background's included; `batch`: windows
    at a time (None: as many as are fastest). Whoever wants `autocast` opens it around the whole loop.
    """
    grid = window_grid(tuple(scan.shape), window, overlap)  # pyright: ignore[reportArgumentType]
    padded, rows = with_air(scan, grid), rows_of_windows(grid, air)
    stitch = Stitch(grid, channels, torch.device(device))
    done, total, batch = 0, sum(map(len, rows)), batch or at_once(window, stitch.device)
    for i, (x, corners) in enumerate(zip(grid.starts[0], rows, strict=True)):
        for first in range(0, len(corners), batch):
            at = corners[first : first + batch]
            # Not `inference_mode`: under it autocast casts the weights anew for each window. And not around the yield:
            # it would hold for whoever takes the rows, too.
            with torch.no_grad():
                logits = network(send(cut(padded, x, at, window), stitch.device))
            stitch.add(at, logits)
            done += len(at)
            if progress is not None:
                progress(done, total)
        after = grid.starts[0][i + 1] if i + 1 < len(rows) else grid.padded[0]
        yield from stitch.finished(after)


def sliding_logits(
    scan: Float[Tensor, "x y z"],
    air: Bool[np.ndarray, "x y z"] | None,
    window: Triple,
    network: Network,
    channels: int,
    *,
    overlap: float = 0.5,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Float[Tensor, "c x y z"]:
    """The same in one piece, for scans whose logits fit in memory."""
    slabs = logit_slabs(
        scan, air, window, network, channels, overlap=overlap, batch=batch, device=device, progress=progress
    )
    return torch.cat([slab.logits for slab in slabs], dim=1)
