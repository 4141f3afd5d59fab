"""Instance norm, what is added beside it, and a leaky ReLU, in one: on a processor by compiled loops that go through
memory twice on the way there and twice back, where torch goes many times and puts the channels first to do so.

Axes: b scan, n voxel, c channel; channels lie last. r row, l lane: a row is several voxels one after the other, so that
it is long; a lane is one number of each row, and belongs to one channel. Numbers are of 32 bits, or of 16 (bfloat16,
the upper half of them): `missing` says how many bits are missing.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import instance_norm, leaky_relu_

from simcrop.device import numbers_at_hand
from simcrop.jit import compiled
from simcrop.nn.threads import in_parts

SLOPE = 0.01  # of the leaky ReLU
EPS = 1e-5  # added to a variance
LANES, BLOCK = 256, 128  # in a row at most; rows that lie in the nearest memory together


def normed_relu(
    seen: Float[Tensor, "b c x y z"],
    beside: Float[Tensor, "b c x y z"] | None = None,
    beside_too: bool = True,
) -> Float[Tensor, "b c x y z"]:
    """Each channel of each scan at zero mean and unit variance, plus `beside` (`beside_too`: after the same was done to
    it), through a leaky ReLU.
    """
    if numbers_at_hand(seen) and seen.dtype in BITS:
        beside = None if beside is None else beside.to(seen.dtype)
        return NormedRelu.apply(seen, beside, beside_too)  # type: ignore[return-value]
    total = instance_norm(seen)
    if beside is not None:
        total = total + (instance_norm(beside) if beside_too else beside)
    return leaky_relu_(total, SLOPE)


class Bits(NamedTuple):
    """How the bits of a number are looked at, and how many it has less than 32."""

    signed: torch.dtype
    unsigned: type
    missing: int


BITS = {
    torch.float32: Bits(torch.int32, np.uint32, 0),
    torch.bfloat16: Bits(torch.int16, np.uint16, 16),
}


class Line(NamedTuple):
    """`(number - middle) * scale`, lane by lane."""

    scale: np.ndarray
    middle: np.ndarray


class NormedRelu(torch.autograd.Function):
    """The same by compiled loops. What goes out tells on the way back which side of the ReLU it came from."""

    @staticmethod
    def forward(ctx: Any, seen: Tensor, beside: Tensor | None, beside_too: bool) -> Tensor:
        last = partial(torch.Tensor.contiguous, memory_format=torch.channels_last_3d)
        seen, beside = last(seen), None if beside is None else last(beside)
        out = torch.empty_like(seen)
        ctx.beside_too = beside_too and beside is not None
        others = seen if beside is None else beside
        ctx.scans = [
            Scan(a, b, beside is not None, ctx.beside_too, seen.shape[1], BITS[seen.dtype].missing)
            for a, b in zip(rows_of(seen), rows_of(others), strict=True)
        ]
        for scan, there in zip(ctx.scans, rows_of(out), strict=True):
            scan.join(there)
        ctx.save_for_backward(seen, beside, out)  # the scans are views of the first two
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        seen, beside, out = ctx.saved_tensors
        gradient = gradients[0].to(seen.dtype).contiguous(memory_format=torch.channels_last_3d)
        to_seen = torch.empty_like(seen)
        to_beside = None if beside is None else torch.empty_like(seen)
        others = to_seen if to_beside is None else to_beside
        for scan, *rows in zip(ctx.scans, *map(rows_of, (gradient, out, to_seen, others)), strict=True):
            scan.part(*rows)
        return to_seen, to_beside, None


class Scan:
    """One scan on its way: `a` and what is `beside` it, `b`, as rows of bits, and the line that each lane of them is
    put through before they are added.
    """

    def __init__(
        self, a: np.ndarray, b: np.ndarray, beside: bool, beside_too: bool, channels: int, missing: int
    ) -> None:
        self.a, self.b, self.beside, self.beside_too = a, b, beside, beside_too
        self.channels, self.missing = channels, missing
        self.line_a = line_of(a, channels, missing)
        # Where there is nothing beside it, it is added to itself no times.
        self.line_b = line_of(b, channels, missing) if beside_too else flat(b, float(beside))

    def join(self, out: np.ndarray) -> None:
        """What goes out."""

        def work(part: slice) -> None:
            join(self.a[part], *self.line_a, self.b[part], *self.line_b, out[part], self.missing, SLOPE)

        in_parts(len(out), work, BLOCK)

    def part(self, gradient: np.ndarray, out: np.ndarray, to_a: np.ndarray, to_b: np.ndarray) -> None:
        """The gradient, back to where it came from."""

        def sums(part: slice) -> np.ndarray:
            lines = self.a[part], *self.line_a, self.b[part], *self.line_b
            return pull(gradient[part], out[part], *lines, self.missing, SLOPE)

        every = np.sum(in_parts(len(out), sums, BLOCK), axis=0)
        mean, along_a, along_b = (folded(lane, self.channels, len(out)) for lane in every)
        none = np.zeros_like(mean)
        mean_b, along_b = (mean, along_b) if self.beside_too else (none, none)

        def work(part: slice) -> None:
            lines = self.a[part], *self.line_a, mean, along_a, self.b[part], *self.line_b, mean_b, along_b
            targets = to_a[part], to_b[part], self.beside
            push(gradient[part], out[part], *lines, *targets, self.missing, SLOPE)

        in_parts(len(out), work, BLOCK)


def rows_of(tensor: Float[Tensor, "b c x y z"]) -> np.ndarray:
    """The bits as `(b, r, l)`, in the same memory."""
    kind = BITS[tensor.dtype]
    last = rearrange(tensor.detach(), "b c x y z -> b (x y z) c")
    scans, voxels, channels = last.shape
    together = 1
    while 2 * together * channels <= LANES and voxels % (2 * together) == 0:
        together *= 2
    bits = last.view(kind.signed).numpy().view(kind.unsigned)
    return bits.reshape(scans, voxels // together, together * channels)


def line_of(rows: np.ndarray, channels: int, missing: int) -> Line:
    """What brings each channel to zero mean and unit variance."""
    parts = in_parts(len(rows), lambda part: moments(rows[part], missing), BLOCK)
    counts = np.array([part[0] for part in parts]).repeat(rows.shape[1] // channels)
    means, squares = (np.concatenate([p[i].reshape(-1, channels) for p in parts]) for i in (1, 2))
    total = counts.sum()
    mean = (counts[:, None] * means).sum(0) / total
    # Of parts with means of their own: within each, and between them.
    squared = squares.sum(0) + (counts[:, None] * np.square(means - mean)).sum(0)
    scale = 1 / np.sqrt(squared / total + EPS)
    return Line(*(np.tile(v, rows.shape[1] // channels).astype(np.float32) for v in (scale, mean)))


def flat(rows: np.ndarray, scale: float) -> Line:
    """Numbers as they are, or none of them."""
    return Line(np.full(rows.shape[1], scale, np.float32), np.zeros(rows.shape[1], np.float32))


def folded(sums: np.ndarray, channels: int, rows: int) -> np.ndarray:
    """Sums over the rows as means over the voxels of each channel, lane by lane."""
    lanes = sums.reshape(-1, channels)
    return np.tile(lanes.sum(0) / (rows * len(lanes)), len(lanes)).astype(np.float32)


@partial(compiled, fastmath=True)
def wide(bits: Any, missing: int) -> Any:
    """A number of 32 bits."""
    return np.uint32(np.uint32(bits) << np.uint32(missing)).view(np.float32)


@partial(compiled, fastmath=True)
def narrow(number: Any, missing: int) -> Any:
    """Its bits, without the lowest, rounded to the nearest, and to even where two are as near."""
    bits = np.float32(number).view(np.uint32)
    if missing == 0:
        return bits
    return np.uint32(bits + np.uint32(0x7FFF) + ((bits >> np.uint32(missing)) & np.uint32(1))) >> np.uint32(
        missing
    )


@partial(compiled, fastmath=True)  # sums in any order, or they would be one number at a time
def moments(rows: np.ndarray, missing: int) -> tuple[int, np.ndarray, np.ndarray]:
    """How many rows, and of each lane the mean and the squared distances from it, block by block (Chan et al., 1983):
    exact where a channel hardly varies.
    """
    count, width = rows.shape
    mean, squares = np.zeros(width), np.zeros(width)
    middle, around = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        size = last - first
        middle[:] = 0
        around[:] = 0
        for r in range(first, last):
            for k in range(width):
                middle[k] += wide(rows[r, k], missing)
        for k in range(width):
            middle[k] /= np.float32(size)
        for r in range(first, last):
            for k in range(width):
                away = wide(rows[r, k], missing) - middle[k]
                around[k] += away * away
        for k in range(width):
            away = np.float64(middle[k]) - mean[k]
            mean[k] += away * size / last
            squares[k] += around[k] + away * away * first * size / last
    return count, mean, squares


@partial(compiled, fastmath=True)
def join(a, scale_a, middle_a, b, scale_b, middle_b, out, missing, slope) -> None:  # type: ignore[no-untyped-def]
    """Both lines, added, through the ReLU."""
    for r in range(a.shape[0]):
        for k in range(a.shape[1]):
            total = (wide(a[r, k], missing) - middle_a[k]) * scale_a[k]
            total += (wide(b[r, k], missing) - middle_b[k]) * scale_b[k]
            out[r, k] = narrow(total if total > 0 else total * np.float32(slope), missing)


@partial(compiled, fastmath=True)
def pull(g, out, a, scale_a, middle_a, b, scale_b, middle_b, missing, slope):  # type: ignore[no-untyped-def]
    """Sums of the gradient before the ReLU, `(3, l)`: as it is, along `a` and along `b`."""
    count, width = a.shape
    sums, some = np.zeros((3, width)), np.zeros((3, width), np.float32)
    for first in range(0, count, BLOCK):
        some[:] = 0
        for r in range(first, min(first + BLOCK, count)):
            for k in range(width):
                gradient = wide(g[r, k], missing)
                gradient = gradient if wide(out[r, k], missing) > 0 else gradient * np.float32(slope)
                some[0, k] += gradient
                some[1, k] += gradient * ((wide(a[r, k], missing) - middle_a[k]) * scale_a[k])
                some[2, k] += gradient * ((wide(b[r, k], missing) - middle_b[k]) * scale_b[k])
        sums += some
    return sums


@partial(compiled, fastmath=True)
def push(  # type: ignore[no-untyped-def]
    g,
    out,
    a,
    scale_a,
    middle_a,
    mean_a,
    along_a,
    b,
    scale_b,
    middle_b,
    mean_b,
    along_b,
    to_a,
    to_b,
    both,
    missing,
    slope,
) -> None:
    """The gradient of what came in: without its mean and without what lies along the numbers themselves."""
    for r in range(a.shape[0]):
        for k in range(a.shape[1]):
            gradient = wide(g[r, k], missing)
            gradient = gradient if wide(out[r, k], missing) > 0 else gradient * np.float32(slope)
            normed = (wide(a[r, k], missing) - middle_a[k]) * scale_a[k]
            to_a[r, k] = narrow(scale_a[k] * (gradient - mean_a[k] - normed * along_a[k]), missing)
            if both:
                normed = (wide(b[r, k], missing) - middle_b[k]) * scale_b[k]
                to_b[r, k] = narrow(scale_b[k] * (gradient - mean_b[k] - normed * along_b[k]), missing)
