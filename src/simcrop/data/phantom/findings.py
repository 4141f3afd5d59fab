"""A finding: what it is called, where it lies, how large it is, and the bodies it is painted with.

Lengths in mm of the patient's frame, densities in HU; arrays are `(z, y, x)`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simcrop.data.phantom.anatomy import Anatomy, Lobe
from simcrop.data.phantom.grid import Frame
from simcrop.data.phantom.parts import Part
from simcrop.data.phantom.shapes import coverage, paint

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


@dataclass(frozen=True)
class Finding:
    """`kind` is one of LABELS; `size_mm` is the length that the report names, None when it names none."""

    kind: str
    side: FindingSide | None
    lobe: Lobe | None
    size_mm: int | None
    mask_value: int
    parts: tuple[Part, ...]
    strength: float = 1.0  # how much of the tissue under it is replaced: 1 all of it, less for a veil
    place: str = ""  # words of the report for a place that is no lobe

    def paint(self, hu: np.ndarray, mask: np.ndarray, anatomy: Anatomy, frame: Frame) -> None:
        """Draw it into one slab and mark its voxels."""
        for part in self.parts:
            window = frame.window(np.array([part.centre]), part.reach_mm)
            if window is None:
                continue
            distance = part.distance(frame.points[window], anatomy)
            mask[window][distance <= 0] = self.mask_value
            if part.hu is not None:
                paint(hu[window], part.hu, coverage(distance, frame.edge_mm) * np.float32(self.strength))
