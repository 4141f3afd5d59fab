"""One scan that a model has looked at, and what can be asked of it then.

Axes: n patch (gx slowest, gz fastest), c cell of half a patch (alike), s sentence, d features, e features shared with
texts, k boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from simcrop.data.preprocess import Placement
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid

AIR = -1.0  # of the input
POOLS = ("mean", "max")


@runtime_checkable
class Looking(Protocol):
    """What a scan that was looked at still needs of the model that did."""

    grid: PatchGrid

    @property
    def top_k(self) -> int: ...

    @property
    def skips_attention(self) -> bool: ...

    @property
    def label_names(self) -> tuple[str, ...]: ...

    def features_of(self, volumes: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b n d"]: ...

    def regions_of(self, volumes: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b n e"]: ...

    def projected(self, features: Float[Tensor, "b n d"]) -> Float[Tensor, "b n e"]: ...

    def encode(self, sentences: Sequence[str]) -> Float[Tensor, "s e"]: ...

    def scores_of(self, features: Float[Tensor, "b n d"]) -> Float[Tensor, "b l"]: ...


@dataclass(frozen=True, eq=False)
class Heat:
    """One sentence in one scan. `map`: float32 cosine similarity on the scan's own grid, NaN outside the crop;
    `patches`: the same per patch `(gx, gy, gz)`; `boxes_mm`: `(k, 2, 3)` low and high corners of the k nearest patches
    in RAS+ mm, nearest first; `scores`: their similarities.
    """

    map: np.ndarray
    patches: np.ndarray
    boxes_mm: np.ndarray
    scores: np.ndarray


def pooled(features: Float[Tensor, "b n d"], pool: str) -> np.ndarray:
    """One float32 vector per scan, `(b, d)`."""
    check_pool(pool)
    return reduce(features, "b n d -> b d", "max" if pool == "max" else "mean").float().cpu().numpy()


def check_pool(pool: str) -> None:
    if pool not in POOLS:
        raise SimcropError("bad-setting", f"pool wants {' or '.join(POOLS)}, got {pool!r}")


@dataclass(frozen=True, eq=False)
class PatchTokens:
    """All patches of one scan. `features`: float32 `(n, d)`; `centres_mm`: the middle of each, `(n, 3)` in RAS+ mm of
    the scan's own file; `inside`: bool `(n,)`, false for a patch that holds no voxel of the scan, only the air that it
    was padded with; `grid`: patches along x, y and z, so that `features.reshape(*grid, -1)` is a picture.
    """

    features: np.ndarray
    centres_mm: np.ndarray
    inside: np.ndarray
    grid: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Seen:
    """A scan as `model` sees it: `volume` in [-1, 1] and where it lies in the file. Features and regions are computed
    when they are first needed and never again, however many sentences are asked; both come of one pass of the encoder,
    unless sentences are sought without attention.
    """

    model: Looking
    volume: Float[Tensor, "1 1 x y z"]
    placement: Placement

    @cached_property
    def features(self) -> Float[Tensor, "n d"]:
        """Features of all patches."""
        return self.model.features_of(self.volume)[0]

    @cached_property
    def regions(self) -> Float[Tensor, "n e"]:
        """All patches in the space of sentences, each of length one. Raises SimcropError of a model that knows none."""
        if self.model.skips_attention:
            return self.model.regions_of(self.volume)[0]
        return self.model.projected(self.features[None])[0]

    def embed(self, pool: str = "mean") -> np.ndarray:
        """One float32 vector: the patch features' `mean`, or the largest value of each (`max`); `(768,)` at paper size.
        Raises SimcropError for another `pool`.
        """
        return pooled(self.features[None], pool)[0]

    @property
    def tokens(self) -> PatchTokens:
        """The features of all patches, and where in the patient each of them lies."""
        features, grid = self.features.float().cpu().numpy(), self.model.grid.shape
        inside = self.placement.holds_scan(grid).reshape(-1)
        return PatchTokens(features, self.placement.centres_mm(grid), inside, grid)

    def similarity(self, sentences: Sequence[str]) -> Float[Tensor, "s n"]:
        """Cosine of every sentence with every patch."""
        return einsum(self.model.encode(sentences), self.regions, "s e, n e -> s n")

    def fine(self, sentences: Sequence[str]) -> Float[Tensor, "s c"]:
        """The same on cells of half a patch: each has the mean of the patches that hold it in eight looks, whose grids
        begin half a patch earlier along some of the axes.
        """
        texts, grid, cells = self.model.encode(sentences), self.model.grid, self.cells
        total = texts.new_zeros(len(texts), *cells.shape)
        looks = texts.new_zeros(cells.shape)
        for bits in product((0, 1), repeat=3):
            back = [bit * half for bit, half in zip(bits, cells.patch, strict=True)]
            before = [n for along in reversed(back) for n in (along, -along)]
            regions = self.model.regions_of(pad(self.volume, before, value=AIR))[0]
            patches = einsum(texts, regions, "s e, n e -> s n").view(-1, *grid.shape)
            spread = repeat(patches, "s x y z -> s (x i) (y j) (z k)", i=2, j=2, k=2)
            held = [slice(0, n - bit) for n, bit in zip(cells.shape, bits, strict=True)]
            x, y, z = (slice(bit, None) for bit in bits)
            total[:, *held] += spread[:, x, y, z]
            looks[*held] += 1
        return rearrange(total / looks, "s x y z -> s (x y z)")

    @property
    def cells(self) -> PatchGrid:
        """The grid of half patches."""
        x, y, z = (n // 2 for n in self.model.grid.patch)
        return PatchGrid(self.model.grid.volume, (x, y, z))

    def ground(self, sentences: Sequence[str], top_k: int | None = None, fine: bool = False) -> list[Heat]:
        """Where each sentence is seen, with its `top_k` nearest patches as boxes; the model's own K when not given.
        `fine`: in cells of half a patch, eight of which count as one.
        """
        k = top_k or self.model.top_k
        if fine:
            return [self.heat(row, 8 * k, self.cells) for row in self.fine(sentences).cpu().numpy()]
        return [self.heat(row, k, self.model.grid) for row in self.similarity(sentences).cpu().numpy()]

    def scores(self) -> dict[str, float]:
        """Probability of each label that the model was taught."""
        scores = self.model.scores_of(self.features[None])[0]
        return dict(zip(self.model.label_names, scores.tolist(), strict=True))

    def heat(self, similarity: np.ndarray, k: int, grid: PatchGrid) -> Heat:
        placement = self.placement
        patches = similarity.reshape(grid.shape).astype(np.float32)
        # A scan smaller than the input is padded with air: a box there would point beside the patient.
        candidates = np.flatnonzero(placement.holds_scan(grid.shape))
        nearest = candidates[np.argsort(-similarity[candidates], kind="stable")[:k]]
        boxes = np.stack([placement.box_mm(grid.index(int(n)), grid.patch) for n in nearest])
        return Heat(placement.to_source(patches), patches, boxes, similarity[nearest])
