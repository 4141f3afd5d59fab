"""What a training step works on: volumes, reports that will be masked and sentences, padded and flat.

Axes: b study, x y z voxels (RAS+), i j k the same at a finer spacing, t word piece, s sentence (of all reports, one
after the other), d features, l label.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from simcrop.data.preprocess import unit_line
from simcrop.data.samples.tokenizer import Tokens
from simcrop.device import send
from simcrop.errors import SimcropError

Unit = Literal["sentence", "findings", "report", "organ"]
Change = Callable[[Tensor], Tensor]
LEVELS = "lower", "middle", "upper"  # of the lungs, from the feet up


@dataclass(frozen=True)
class Sentences:
    """The Findings sentences of a batch, flat; for methods that compare whole reports, one text per study instead.
    Either `features` (frozen, cached) or `tokens` (to be encoded) is set.

    `image_index`: whose study of the batch it is; `sentence_id`: equal for equal sentences; `document_frequency`: in
    what share of the training reports that say something it stands; `size_mm`: the length that it states, NaN where
    none; `level`: which of `LEVELS` it states, -1 where none. `opposite`: each of them turned round, row by row; where
    that cannot be, the sentence itself; `claims`: 1 where it asserts a kind of finding, -1 where it denies one. Of
    texts about one organ each, `organ`: its number in the method's order, and `normal`: whether the report leaves it at
    that. None when the method does not ask.
    """

    image_index: Int[Tensor, " s"]
    sentence_id: Int[Tensor, " s"]
    document_frequency: Float[Tensor, " s"]
    features: Float[Tensor, "s d"] | None = None
    tokens: Tokens | None = None
    size_mm: Float[Tensor, " s"] | None = None
    most: int | None = None
    level: Int[Tensor, " s"] | None = None
    opposite: "Sentences | None" = None
    claims: Int[Tensor, "s k"] | None = None
    organ: Int[Tensor, " s"] | None = None
    normal: Bool[Tensor, " s"] | None = None

    def to(self, device: torch.device) -> "Sentences":
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def each(self, change: Change) -> "Sentences":
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        changed = {name: change(value) for name, value in known.items() if isinstance(value, Tensor)}
        parts = {
            n: value.each(change) for n, value in known.items() if isinstance(value, (Tokens, Sentences))
        }
        return replace(self, **changed, **parts)


@dataclass(frozen=True)
class Unread:
    """A study that could not be read, and why; another one was read in its place."""

    id: str
    error: SimcropError


@dataclass(frozen=True)
class Batch:
    """`volume` in [-1, 1]; `report` whole, as long as nothing is drawn, and no word piece long when the method reads
    none; `labels` 0, 1 or NaN where unknown; `ids` name the studies in messages. `mask`: the data set's own label
    volume, cut as the scan is, 0 outside of it; `fine`: the crop at a multiple of its resolution, of which `volume` is
    every so many voxels; `extra`: what else a method has asked for, a row per study. None and nothing when the method
    wants none. `unread`: studies that others of the batch stand in for; `seeds`: of everything random about each study;
    `drawn`: what the method has drawn from them.

    From the loading process to the device a batch travels small: `volume` and `fine` in HU, int16 as the store holds
    them, while `window_hu` says what is yet to be mapped to [-1, 1], and `mask` as int16. `to` makes of them what a
    method reads.
    """

    ids: tuple[str, ...]
    volume: Float[Tensor, "b 1 x y z"] | Int[Tensor, "b 1 x y z"]
    report: Tokens
    sentences: Sentences
    labels: Float[Tensor, "b l"] | None = None
    mask: Int[Tensor, "b 1 x y z"] | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()
    seeds: tuple[int, ...] = ()
    drawn: Mapping[str, Tensor] = field(default_factory=dict)
    window_hu: tuple[float, float] | None = None
    fine: Float[Tensor, "b 1 i j k"] | Int[Tensor, "b 1 i j k"] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> "Batch":
        """On another device, as a method reads it; to a card everything travels while the processor goes on."""
        there = self.each(lambda tensor: send(tensor, device))
        if there.mask is not None:
            there = replace(there, mask=there.mask.long())
        if there.window_hu is None:
            return there
        fine = None if there.fine is None else windowed(there.fine, there.window_hu)
        return replace(there, volume=windowed(there.volume, there.window_hu), fine=fine, window_hu=None)

    def pin_memory(self) -> "Batch":
        """A copy in memory that a card reads by itself; the data loader asks for it."""
        return self.each(Tensor.pin_memory)

    def each(self, change: Change) -> "Batch":
        return replace(
            self,
            volume=change(self.volume),
            report=self.report.each(change),
            sentences=self.sentences.each(change),
            labels=None if self.labels is None else change(self.labels),
            mask=None if self.mask is None else change(self.mask),
            fine=None if self.fine is None else change(self.fine),
            extra={name: change(tensor) for name, tensor in self.extra.items()},
            drawn={name: change(tensor) for name, tensor in self.drawn.items()},
        )


def windowed(
    hu: Int[Tensor, "b 1 x y z"] | Float[Tensor, "b 1 x y z"], window_hu: tuple[float, float]
) -> Float[Tensor, "b 1 x y z"]:
    """HU clipped to the window and mapped to [-1, 1], where the tensor lies: to the bit what `to_unit` makes."""
    slope, shift = map(float, unit_line(window_hu))
    # Whole numbers become floats first: the product would take twice as long over both. And two operations, each
    # rounded: one that does both at once would round otherwise.
    scaled = hu.mul(slope) if hu.is_floating_point() else hu.float().mul_(slope)
    return scaled.add_(shift).clamp_(-1, 1)


def image_indices(counts: Sequence[int]) -> Int[Tensor, " s"]:
    """`[2, 0, 3]` sentences per study -> `[0, 0, 2, 2, 2]`."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(list(counts), dtype=torch.long))
