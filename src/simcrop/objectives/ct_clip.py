"""CT-CLIP's objective on the shared encoders: a whole volume must find its report among those of the batch, and back.

No axes or units. After Hamamci et al., CT-CLIP, 2024: the report's class token and the volume both projected to 512
without a bias and brought to length one, logits times exp(t) with a learned t that starts at 1, mean of both
directions, both encoders trained. Its code reads the findings alone. The 3D ViT, pooled by its mean, stands in for
their CT-ViT, so that only the objective differs.
"""

from typing import ClassVar

from simcrop.objectives.method import Account
from simcrop.objectives.report_contrast import ReportContrastSettings


class CtClipSettings(ReportContrastSettings):
    """The defaults of `contrast` are CT-CLIP's; it has no bound for exp(t)."""

    name: ClassVar[str] = "ct-clip"
    account: ClassVar[Account] = Account(
        contrasts="whole volume and its report, over the batch",
        reads="scan, findings",
        source="Hamamci et al., CT-CLIP, 2024",
    )
