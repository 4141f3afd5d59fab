"""MAE in 3D: reconstruct the masked patches, and nothing else (Eq. 1 alone). No report is read.

Axes: b study, n all patches, p voxel of a patch. After He et al., Masked Autoencoders Are Scalable Vision Learners,
2022. Encoder, decoder and target are SimCroP's, so that only the objective differs; MAE itself normalises the target
(`mim.norm_pix`) and decodes with 8 layers of 512 features and 16 heads (`vision_decoder`). Its ImageNet weights start
the encoder through `init.mae`.
"""

from dataclasses import replace
from typing import ClassVar

from pydantic import field_validator
from torch import Tensor

from simcrop.data.samples.batch import Batch
from simcrop.nn.masking import random_mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.vision_decoder import VisionDecoder, VisionDecoderSettings
from simcrop.objectives.draws import PATCHES, Draws
from simcrop.objectives.method import Account, MethodSettings, Objective, Term
from simcrop.objectives.needs import Components
from simcrop.objectives.volume import RECONSTRUCTION, MimSettings, preferred_patches, volume_loss


class MaeSettings(MethodSettings):
    """The parts of SimCroP that Eq. 1 needs, with the same defaults."""

    name: ClassVar[str] = "mae"
    architecture: ClassVar[tuple[str, ...]] = ("vision", "vision_decoder")
    account: ClassVar[Account] = Account(hides="75 % of the patches", source="He et al. 2022")

    vision_decoder: VisionDecoderSettings = VisionDecoderSettings()
    mim: MimSettings = MimSettings()

    @field_validator("mim")
    @classmethod
    def is_all_there_is(cls, mim: MimSettings) -> MimSettings:
        if not mim.weight:
            raise ValueError("weight 0 leaves MAE nothing to learn")
        return mim

    def build(self, components: Components) -> "Mae":
        return Mae(self, components.grid)


class Mae(Objective):
    """One term: `volume`."""

    def __init__(self, settings: MaeSettings, grid: PatchGrid) -> None:
        super().__init__()
        self.settings, self.grid = settings, grid
        self.vision = settings.vision.build(grid)
        self.vision_decoder = VisionDecoder(settings.vision_decoder, self.vision.width, grid)

    @property
    def terms(self) -> dict[str, Term]:
        return {"volume": Term(self.settings.mim.weight, RECONSTRUCTION)}

    def draw(self, batch: Batch, seed: int, first: int = 0) -> Batch:
        noise = Draws(batch, seed, first).uniform(PATCHES, self.vision.grid.count)
        return replace(batch, drawn={"patches": noise})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        mim, patches = self.settings.mim, self.grid.split(batch.volume)
        mask = random_mask(batch.drawn["patches"], mim.mask_ratio, preferred_patches(patches, mim))
        features = self.vision(batch.volume, mask, patches=patches)
        return {"volume": volume_loss(self.vision_decoder, mim, patches, features, mask)}
