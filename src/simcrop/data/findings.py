"""Findings that a data set marks in its scans: a sentence, its category, and what is listed of its mask.

No axes or units. Categories are those of ReXGroundingCT; those that begin with 2 are focal.
"""

from dataclasses import dataclass, field

CATEGORIES: dict[str, str] = {
    "1a": "bronchial wall thickening",
    "1b": "bronchiectasis",
    "1c": "emphysema",
    "1d": "septal thickening",
    "1e": "micronodules",
    "1f": "other non-focal",
    "2a": "linear opacities",
    "2b": "atelectasis or consolidation",
    "2c": "ground-glass opacity",
    "2d": "nodules or masses",
    "2e": "pleural effusion or thickening",
    "2f": "honeycombing",
    "2g": "pneumothorax",
    "2h": "other focal",
}


@dataclass(frozen=True)
class Finding:
    """One sentence about one scan. `voxels`, `instances`: of its mask, where the data set says them. `complete`:
    whether all that the sentence speaks of is marked, so that a voxel without a mark is without the finding.
    """

    text: str = field(repr=False)  # a line of a report
    category: str
    complete: bool
    voxels: int | None = None
    instances: int | None = None


def is_focal(category: str) -> bool:
    return category.startswith("2")
