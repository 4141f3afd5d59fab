"""One scan that a model has looked at, and what can be asked of it then.

Axes: n patch (gx slowest, gz fastest), c cell of a part of a patch (alike), s sentence, d features, e features shared
with texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from simcrop.data.preprocess import Placement, Triple
from simcrop.errors import SimcropError
from simcrop.model.heat import Heat, HeatMaps, TopK, box_counts, looks_along, refuse_no_question
from simcrop.model.looks import averaged, cells_of
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

    @cached_property
    def shifted(self) -> dict[Triple, Tensor]:
        """The same of looks that begin elsewhere, as far as they were needed."""
        return {}

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
        return self.similarity_of(self.model.encode(sentences))

    def similarity_of(self, texts: Float[Tensor, "s e"]) -> Float[Tensor, "s n"]:
        """The same of sentences that were encoded already."""
        return einsum(texts, self.regions, "s e, n e -> s n")

    def fine(self, sentences: Sequence[str], fine: int = 8) -> Float[Tensor, "s c"]:
        """The same on cells of a part of a patch, of half a patch for 8: each has the mean of the patches that hold it
        in so many looks, whose grids begin parts of a patch earlier along some of the axes.
        """
        return self.fine_of(self.model.encode(sentences), looks_along(fine, self.model.grid.patch))

    def fine_of(self, texts: Float[Tensor, "s e"], along: int) -> Float[Tensor, "s c"]:
        """Of patches cut into so many cells along each axis."""
        grid = self.model.grid
        similarity = averaged(texts, self.regions_from if along == 2 else self.look_from, grid, grid, along)
        return rearrange(similarity, "s x y z -> s (x y z)")

    def regions_from(self, begin: Triple) -> Float[Tensor, "n e"]:
        """As `look_from`, computed once."""
        if begin not in self.shifted:
            self.shifted[begin] = self.look_from(begin)
        return self.shifted[begin]

    def look_from(self, begin: Triple) -> Float[Tensor, "n e"]:
        """All patches in the space of sentences, of an input that begins so many voxels away."""
        if not any(begin):
            return self.regions
        moved = pad(self.volume, [n for b in reversed(begin) for n in (-b, b)], value=AIR)
        return self.model.regions_of(moved)[0]

    def look_for(
        self,
        sentences: Sequence[str],
        top_k: TopK = None,
        fine: int = 1,
        texts: Float[Tensor, "s e"] | None = None,
    ) -> HeatMaps:
        """Where each sentence is seen, with its `top_k` nearest patches as boxes: by default as many as `Model.ground`
        says, and with `auto` fewer where a sentence states a size. `fine`: looks that are averaged, in as many cells
        per patch, which together count as one. `texts`: the sentences' features, where they are known already.
        """
        along, grid = looks_along(fine, self.model.grid.patch), self.model.grid
        refuse_no_question(sentences, top_k)
        texts = self.model.encode(sentences) if texts is None else texts
        found = self.similarity_of(texts) if along == 1 else self.fine_of(texts, along)
        cells = cells_of(grid, along)
        counts = box_counts(sentences, top_k, self.model.top_k, cells, self.placement, fine)
        return HeatMaps(found.cpu().numpy(), cells, self.placement, counts)

    def ground(self, sentences: Sequence[str], top_k: TopK = None, fine: int = 1) -> list[Heat]:
        """All of `look_for` at once, each with its map on the scan's own grid."""
        return list(self.look_for(sentences, top_k, fine))

    def scores(self) -> dict[str, float]:
        """Probability of each label that the model was taught."""
        scores = self.model.scores_of(self.features[None])[0]
        return dict(zip(self.model.label_names, scores.tolist(), strict=True))
