"""Segmentation: which class each voxel belongs to, learned from label volumes with UNETR on our encoder.

Axes: b window, c class (0: none of them; i + 1: `classes[i]`), x y z voxels. A model keeps encoder and decoder.
"""

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float, Int
from pydantic import Field, field_validator
from torch import Tensor

from simcrop.data.samples.batch import Batch
from simcrop.errors import SimcropError
from simcrop.losses import dice_ce
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.patch import PatchGrid
from simcrop.nn.unetr import UnetrDecoder, UnetrSettings, tap
from simcrop.objectives.method import Components, MethodSettings, Objective, Term
from simcrop.settings import Settings


class SegmentLossSettings(Settings):
    """Factors of the two terms. Dice with squares of the probabilities, as in the paper's public code."""

    dice: float = Field(default=1.0, ge=0)
    cross_entropy: float = Field(default=1.0, ge=0)
    squared: bool = True


class SegmentSettings(MethodSettings):
    """Encoder and decoder. `classes`: names of what is learned, in their order; empty: all that the cohort names."""

    name: ClassVar[str] = "segment"
    kept: ClassVar[tuple[str, ...]] = ("vision.", "decoder.")
    architecture: ClassVar[tuple[str, ...]] = ("vision", "decoder")

    decoder: UnetrSettings = UnetrSettings()
    loss: SegmentLossSettings = SegmentLossSettings()
    classes: tuple[str, ...] = ()

    @field_validator("classes")
    @classmethod
    def are_different(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError("no class may be named twice")
        return classes

    def build(self, components: Components) -> "Segment":
        return Segment(self, components.grid)

    def build_decoder(self, grid: PatchGrid) -> UnetrDecoder:
        """The decoder, with random weights, once it is known what the classes are."""
        if not self.classes:
            raise SimcropError("bad-setting", "classes is empty: name at least one class")
        return UnetrDecoder(self.decoder, grid, self.vision.dim, len(self.classes))

    def tapped(self, grid: PatchGrid) -> tuple[int, ...]:
        """The layers that the decoder reads."""
        return self.decoder.tapped(self.vision.depth, grid.patch)

    @property
    def wants_masks(self) -> bool:
        return True


class Segment(Objective):
    """Two terms: `dice` and `cross_entropy`."""

    def __init__(self, settings: SegmentSettings, grid: PatchGrid) -> None:
        super().__init__()
        self.settings, self.grid = settings, grid
        self.taps = settings.tapped(grid)
        self.vision = settings.vision.build(grid)
        self.decoder = settings.build_decoder(grid)

    @property
    def terms(self) -> dict[str, Term]:
        loss = self.settings.loss
        return {
            "dice": Term(loss.dice, "1 - Dice of each class, air and all else among them"),
            "cross_entropy": Term(loss.cross_entropy, "the class of each voxel, by cross-entropy"),
        }

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        logits = logits_of(self.vision, self.decoder, batch.volume, self.taps)
        return dice_ce(logits, target_of(batch), self.settings.loss.squared)._asdict()


def logits_of(
    vision: VisionEncoder, decoder: UnetrDecoder, volume: Float[Tensor, "b 1 x y z"], taps: Sequence[int]
) -> Float[Tensor, "b c x y z"]:
    """Of windows in [-1, 1], for each voxel how much speaks for each class; `taps`: layers of the encoder."""
    return decoder(volume, tap(vision, volume, tuple(taps)))


def target_of(batch: Batch) -> Int[Tensor, "b x y z"]:
    """The channel that each voxel belongs to."""
    if batch.mask is None:
        raise SimcropError("bad-batch", "the batch carries no masks")
    return batch.mask[:, 0]
