"""M3D-CLIP's objective on the shared encoders: the class token of a volume must find that of its report, and back.

No axes or units. After Bai et al., M3D, 2024, and its public code: class tokens of a 3D ViT and of BERT, each through a
linear map with a bias, 768 to 768, brought to length one; half the sum of both directions over the gathered batch, both
encoders trained. The learned scale starts at log(1 / 0.07) = 2.66 and is multiplied as it is, where CLIP takes its
exponential, 14.3; `contrast.exp_scale` does what CLIP meant.

Its encoder sees patches of 4 x 16 x 16 voxels in 32 x 256 x 256, scaled by each scan's own range, at learned places;
here it is the shared one on the shared input, so that only the objective differs. What it published itself is another
model: `simcrop weights import m3d`.
"""

import math
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from simcrop.objectives.method import Account
from simcrop.objectives.report_contrast import ContrastSettings, ReportContrastSettings


class M3dContrastSettings(ContrastSettings):
    """The same with M3D's values. `image = mean` compares the mean of the patches instead of the class token."""

    dim: int = Field(default=768, ge=1)
    bias: bool = True
    image: Literal["mean", "cls"] = "cls"
    log_scale: float = math.log(1 / 0.07)
    exp_scale: bool = False


class M3dSettings(ReportContrastSettings):
    """What a model gives of a scan is the mean of its patches, as of every method, not the token that is compared."""

    name: ClassVar[str] = "m3d"
    account: ClassVar[Account] = Account(
        contrasts="class tokens of volume and report, over the batch",
        reads="scan, findings",
        source="Bai et al., M3D, 2024",
    )

    contrast: M3dContrastSettings = M3dContrastSettings()  # pyright: ignore[reportIncompatibleVariableOverride]

    @model_validator(mode="after")
    def has_what_it_compares(self) -> "M3dSettings":
        if self.contrast.image == "cls" and not self.vision.cls_token:
            raise ValueError("contrast.image = cls needs vision.cls_token = true")
        return self
