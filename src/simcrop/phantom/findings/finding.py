"""A finding: what it is called, where it lies, how large it is, and the bodies it is painted with.

Lengths in mm of the patient's frame, volumes in ml, densities in HU; arrays are `(z, y, x)`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simcrop.phantom.anatomy.body import Anatomy, Lobe
from simcrop.phantom.anatomy.shapes import paint
from simcrop.phantom.findings.parts import Part
from simcrop.phantom.findings.samples import corners, fill
from simcrop.phantom.grid import Frame

FindingSide = Literal["left", "right", "both"]

LABELS = (
    "Medical material",
    "Arterial wall calcification",
    "Cardiomegaly",
    "Pericardial effusion",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Emphysema",
    "Atelectasis",
    "Lung nodule",
    "Lung opacity",
    "Pulmonary fibrotic sequela",
    "Pleural effusion",
    "Mosaic attenuation pattern",
    "Peribronchial thickening",
    "Consolidation",
    "Bronchiectasis",
    "Interlobular septal thickening",
)
"""The 18 label columns of CT-RATE, in its order."""


EASY_KINDS = (
    "Lung nodule",
    "Consolidation",
    "Lung opacity",
    "Atelectasis",
    "Pleural effusion",
    "Emphysema",
    "Cardiomegaly",
    "Medical material",
)
"""Those that 5.5 x 5.5 x 10 mm voxels can show: a cohort of `easy` difficulty has no others."""
DARKEST_HU, BRIGHTEST_HU = -1000.0, 300.0  # what shines through a veil: air to blood with contrast


@dataclass(frozen=True)
class Finding:
    """`kind` is one of LABELS; `size_mm` is the length that a report may name, None when there is none."""

    kind: str
    side: FindingSide | None
    lobe: Lobe | None
    size_mm: int | None
    parts: tuple[Part, ...]
    strength: float = 1.0  # how much of the tissue under it is replaced: 1 all of it, less for a veil
    place: str = ""  # words of the report for a place that is no lobe
    count: int = 1  # of lesions that the report counts
    sized: bool = True  # whether the report may name its size
    known_hu: tuple[int, int] | None = None  # where marked bodies are not painted, or not alone
    mask_value: int = 0
    volume_ml: float = 0.0  # of all its marked bodies, measured without a grid

    @property
    def hu_range(self) -> tuple[int, int]:
        """Lowest and highest HU of a voxel that lies wholly inside it, before noise."""
        if self.known_hu is not None:
            return self.known_hu
        painted = [part.hu for part in self.parts if part.marks and part.hu is not None]
        under = 1 - self.strength
        low = self.strength * min(painted) + under * DARKEST_HU
        high = self.strength * max(painted) + under * BRIGHTEST_HU
        return round(low - 1), round(high + 1)

    def paint(self, hu: np.ndarray, mask: np.ndarray, anatomy: Anatomy, frame: Frame) -> None:
        """Draw it into one slab and mark the voxels that it fills at least by half."""
        for part in self.parts:
            window = frame.window(corners(part), 0.0) if reaches(part, frame) else None
            if window is None:
                continue
            shade, share = fill(part, anatomy, frame, window)
            if part.marks:
                mask[window][share >= 0.5] = self.mask_value
            if part.hu is not None:
                paint(hu[window], part.hu, shade * np.float32(self.strength))

    def is_marked(self, mask: np.ndarray, frame: Frame) -> bool:
        """Whether any voxel of one slab is its own, after all findings were painted."""
        windows = (
            frame.window(corners(part), 0.0) for part in self.parts if part.marks and reaches(part, frame)
        )
        return any(window is not None and bool((mask[window] == self.mask_value).any()) for window in windows)


def reaches(part: Part, frame: Frame) -> bool:
    """Whether a body may reach into the slices of a slab: a cheap question, which most slabs answer with no."""
    low, high = (corner[2] + frame.pose.shift_mm[2] for corner in part.box)
    heights, margin = frame.lines[2], frame.edge_mm
    return bool(low - margin <= heights[-1] and high + margin >= heights[0])
