"""MAE in 3D: paint the hidden patches, and nothing else (Eq. 1 alone). No report is read.

Axes: b study, n all patches, p voxel of a patch. After He et al., Masked Autoencoders Are Scalable Vision Learners,
2022. Encoder, vision_decoder and target are SimCroP's, so that only the objective differs; MAE itself normalises the target
(`mim.norm_pix`) and paints with 8 layers of 512 features.
"""

import torch
from pydantic import model_validator
from torch import Tensor

from simcrop.data.samples.batch import Batch
from simcrop.nn.patch import PatchGrid
from simcrop.nn.transformer import check_heads
from simcrop.nn.vision import VisionDecoder, VisionDecoderSettings, VisionEncoder
from simcrop.objectives.method import Components, MethodSettings, Objective
from simcrop.objectives.volume import MimSettings, hide, preferred_patches, volume_loss


class MaeSettings(MethodSettings):
    """The parts of SimCroP that Eq. 1 needs, with the same defaults."""

    vision_decoder: VisionDecoderSettings = VisionDecoderSettings()
    mim: MimSettings = MimSettings()

    @model_validator(mode="after")
    def heads_share_features(self) -> "MaeSettings":
        """Here too, so that a bad recipe dies before a run folder is made."""
        check_heads("vision", self.vision.dim, self.vision.heads)
        check_heads("vision_decoder", self.vision_decoder.dim, self.vision_decoder.heads)
        return self

    def build(self, parts: Components) -> "Mae":
        return Mae(self, parts.grid)


class Mae(Objective):
    """One term: `volume`."""

    def __init__(self, settings: MaeSettings, grid: PatchGrid) -> None:
        super().__init__()
        self.settings, self.grid = settings, grid
        self.vision = VisionEncoder(settings.vision, grid)
        self.vision_decoder = VisionDecoder(settings.vision_decoder, settings.vision, grid)

    @property
    def weights(self) -> dict[str, float]:
        return {"volume": 1.0}

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        mim, patches = self.settings.mim, self.grid.split(batch.volume)
        mask = hide(patches, mim, generator, preferred_patches(patches, mim))
        features = self.vision(patches, mask)
        return {"volume": volume_loss(self.vision_decoder, mim, patches, features, mask)}
