"""Segmentation: which class each voxel belongs to, learned from label volumes with UNETR on our encoder.

Axes: b window, c class (0: none of them; i + 1: `classes[i]`), x y z voxels. A model keeps encoder and decoder.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from jaxtyping import Float, Int
from pydantic import Field, field_validator
from torch import Tensor

from simcrop.data.class_sides import sided
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.varied import Variation
from simcrop.data.samples.windows import WindowNeeds
from simcrop.errors import SimcropError
from simcrop.losses import dice_ce
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.patch import PatchGrid
from simcrop.nn.unetr import UnetrDecoder, UnetrSettings, tap
from simcrop.objectives.method import Account, MethodSettings, Objective, Term
from simcrop.objectives.needs import Components
from simcrop.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]


class SegmentLossSettings(Settings):
    """Factors of the two terms. Dice with squares of the probabilities, as in the paper's public code."""

    dice: float = Field(default=1.0, ge=0)
    cross_entropy: float = Field(default=1.0, ge=0)
    squared: bool = True


class WindowSettings(Settings):
    """Windows of `input.shape` voxels. `per_scan`: of each scan in an epoch; `marked`: which share of them lies around
    a voxel of a class, any voxel alike or (`by_class`) any class alike, while the rest lies anywhere in the scan.
    """

    per_scan: int = Field(default=16, ge=1)
    marked: float = Field(default=0.5, ge=0, le=1)
    by_class: bool = False


class VariationSettings(Settings):
    """How windows are varied. `flips`: how often along x, y and z; never left-right where a class has a side. `zoom`:
    how often, and `zooms` between what and what. `contrast`, `shift`: how often the voxels are multiplied and something
    is added, by up to `contrast_by` and `shift_by`, on the [-1, 1] scale.
    """

    flips: tuple[Share, Share, Share] = (0.0, 0.2, 0.2)
    zoom: Share = 0.0
    zooms: tuple[float, float] = (0.7, 1.4)
    contrast: Share = 0.1
    contrast_by: Share = 0.1
    shift: Share = 0.1
    shift_by: Share = 0.1

    @field_validator("zooms")
    @classmethod
    def grow(cls, zooms: tuple[float, float]) -> tuple[float, float]:
        if not 0.1 <= zooms[0] <= zooms[1] <= 10:
            raise ValueError("zooms must be two factors from 0.1 to 10, the smaller first")
        return zooms


class SegmentSettings(MethodSettings):
    """Encoder and decoder. `classes`: names of what is learned, in their order; empty: all that the cohort names."""

    name: ClassVar[str] = "segment"
    verb: ClassVar[str] = "segment"
    kept: ClassVar[tuple[str, ...]] = ("vision.", "decoder.")
    architecture: ClassVar[tuple[str, ...]] = ("vision", "decoder")
    account: ClassVar[Account] = Account(reads="window of a scan", needs="masks", source="Hatamizadeh 2022")

    decoder: UnetrSettings = UnetrSettings()
    loss: SegmentLossSettings = SegmentLossSettings()
    windows: WindowSettings = WindowSettings()
    vary: VariationSettings = VariationSettings()
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

    @property
    def window_needs(self) -> WindowNeeds:
        """Refused where a mirror would turn one class into another."""
        if self.vary.flips[0] and (names := sided(self.classes)):
            raise SimcropError(
                "bad-setting",
                f"vary.flips = {list(self.vary.flips)} would mirror left and right, and class {names[0]!r} has a side: "
                "set the first of them to 0",
            )
        windows = self.windows
        return WindowNeeds(
            windows.per_scan, windows.marked, windows.by_class, Variation(**self.vary.model_dump())
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classes

    def class_settings(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {"classes": names}


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

    def starts_late(self, name: str) -> bool:
        """The encoder, which may know something already."""
        return name.startswith("vision.")

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
