"""The same scans with the patient lying elsewhere in the field of view.

Axes: x right, y front, z up, voxels of the stored scan.
"""

from dataclasses import dataclass, fields

import numpy as np

from simcrop.data.preprocess import crop_or_pad, triple
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.volume import spacing_of


@dataclass(frozen=True, eq=False)
class WiderStudy(Study):
    """A stored scan in a field of view that goes on beyond it with air: `shape` is that of the wider one."""

    def read(self) -> np.ndarray:
        return crop_or_pad(super().read(), (0, 0, 0), self.shape)


def shifted(studies: Cohort, mm: float) -> list[Study]:
    """The middle of every scan's field of view moved to the right, to the front and up, by about `mm` along each axis;
    nothing of the scan is lost.
    """
    return [shift(study, mm) for study in studies]


def shift(study: Study, mm: float) -> WiderStudy:
    moved = [round(mm / length) for length in spacing_of(study.affine)]
    wider = triple([have + 2 * more for have, more in zip(study.shape, moved, strict=True)])
    return WiderStudy(
        **{**{field.name: getattr(study, field.name) for field in fields(study)}, "shape": wider}
    )
