"""Where one sentence is seen in one scan: a map, and the patches nearest to the sentence as boxes.

Axes: s sentence, n patch or cell of a patch (gx slowest, gz fastest), k boxes; boxes in RAS+ mm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Literal

import numpy as np

from simcrop.data.preprocess import Placement
from simcrop.data.stated_size import stated_size_mm
from simcrop.data.volume import spacing_of
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid

TopK = int | Literal["auto"] | None


@dataclass(frozen=True, eq=False)
class Nearest:
    """One sentence in one scan. `patches`: float32 cosine similarity per patch `(gx, gy, gz)`; `boxes_mm`: `(k, 2, 3)`
    low and high corners of the k nearest patches in RAS+ mm, nearest first; `scores`: their similarities.
    """

    patches: np.ndarray
    boxes_mm: np.ndarray
    scores: np.ndarray


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


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Several sentences in one scan, of which a map on the scan's own grid is made when it is asked for: of many at
    once there may be no room. `values` `(s, n)`: cosine similarity; `grid`: of what; `counts`: boxes per sentence.
    """

    values: np.ndarray
    grid: PatchGrid
    placement: Placement
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[Heat]:
        return map(self.heat, range(len(self)))

    def map(self, i: int) -> np.ndarray:
        """float32 on the scan's own grid, NaN where the model did not look."""
        return self.placement.to_source(self.values[i].reshape(self.grid.shape).astype(np.float32))

    def heat(self, i: int) -> Heat:
        """The map of sentence `i`, counted from 0, with its boxes."""
        return Heat(self.map(i), **vars(self.nearest(i)))

    def nearest(self, i: int) -> Nearest:
        """The same without the map on the scan's own grid, for which there is not always time and room."""
        similarity, placement = self.values[i], self.placement
        # A scan smaller than the input is padded with air: a box there would point beside the patient.
        candidates = np.flatnonzero(placement.holds_scan(self.grid.shape))
        nearest = candidates[np.argsort(-similarity[candidates], kind="stable")[: self.counts[i]]]
        boxes = np.stack([placement.box_mm(self.grid.index(int(n)), self.grid.patch) for n in nearest])
        return Nearest(similarity.reshape(self.grid.shape).astype(np.float32), boxes, similarity[nearest])


def looks_along(fine: int, patch: Sequence[int]) -> int:
    """Into how many cells a patch is cut along each axis, for so many looks: as many as cells of a patch."""
    along = round(fine ** (1 / 3)) if fine > 0 else 0
    if along < 1 or along**3 != fine:
        raise SimcropError("bad-setting", f"fine wants 1, 8 or 64 looks, got {fine}")
    if any(n % along for n in patch):
        size = " x ".join(map(str, patch))
        raise SimcropError(
            "bad-setting",
            f"fine = {fine} would cut patches of {size} voxels, this model's, into {along} along each axis, which "
            "leaves a rest; it can do fine = 1",
        )
    return along


def refuse_no_question(sentences: Sequence[object], top_k: object) -> None:
    """What no map can be made of; as many boxes as there are patches at most, and one at least."""
    refuse_no_sentences(sentences)
    number = isinstance(top_k, int | np.integer) and not isinstance(top_k, bool) and top_k >= 1
    if not (number or top_k is None or top_k == "auto"):
        raise SimcropError("bad-setting", f"top_k wants a whole number from 1 on or auto, got {top_k!r}")


def refuse_no_sentences(sentences: Sequence[object]) -> None:
    """One text would be taken for a list of its letters, and an empty one has a place like any other."""
    if isinstance(sentences, str):
        raise SimcropError(
            "bad-sentences", "sentences are a list of texts, found one text: put it into a list"
        )
    for sentence in sentences:
        if not isinstance(sentence, str):
            kind = type(sentence).__name__
            raise SimcropError("bad-sentences", f"sentences are a list of texts, found {kind} in it")
    if any("\ud800" <= letter <= "\udfff" for sentence in sentences for letter in str(sentence)):
        raise SimcropError("bad-sentences", "a sentence is no text: some of it is not UTF-8")
    if any(not str(sentence).strip() for sentence in sentences):
        raise SimcropError("bad-sentences", "a sentence is empty")


def box_counts(
    sentences: Sequence[str], top_k: TopK, own: int, cells: PatchGrid, placement: Placement, looks: int
) -> tuple[int, ...]:
    """Cells to box per sentence: `own` patches, or `top_k` of them; with `auto` no more than what the sentence states
    the size of can fill, as training does it with `stated_size`. `looks` cells count as one patch.
    """
    most = (own if top_k in (None, "auto") else top_k) * looks
    if top_k != "auto":
        return (most,) * len(sentences)
    cell_mm = [n * mm for n, mm in zip(cells.patch, spacing_of(placement.affine), strict=True)]
    return tuple(most if mm is None else filled(mm, cell_mm, most) for mm in map(stated_size_mm, sentences))


def filled(size_mm: float, cell_mm: Sequence[float], most: int) -> int:
    """Cells that something of that size can fill."""
    # Rounded first: a cell of 24 mm may be 23.999999 by its affine, and a nodule of 24 mm would fill two.
    return min(max(prod(ceil(round(size_mm / mm, 6)) for mm in cell_mm), 1), most)
