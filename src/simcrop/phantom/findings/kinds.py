"""All kinds of findings: how each is drawn, how common it is, and how one patient's findings are put together.

Lengths in mm of the patient's frame, volumes in ml. Randomness comes in as a generator.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.findings.finding import EASY_KINDS, Finding
from simcrop.phantom.findings.heart_kinds import (
    aortic_calcification,
    cardiomegaly,
    coronary_calcification,
    hernia,
    lymphadenopathy,
    medical_material,
    pericardial_effusion,
)
from simcrop.phantom.findings.lung_kinds import atelectasis, consolidation, nodule, opacity, pleural_effusion
from simcrop.phantom.findings.places import Case, draw_region
from simcrop.phantom.findings.region_kinds import (
    bronchiectasis,
    emphysema,
    mosaic,
    peribronchial_thickening,
    septal_thickening,
    sequela,
)
from simcrop.phantom.findings.samples import Extent, extent_of
from simcrop.phantom.grid import Difficulty

Draw = Callable[[Case], Finding]

# In the order of drawing: what is large or tied to its place comes first, the rest finds room beside it. The number
# is the share of patients of a `real` cohort, about that of CT-RATE.
DRAWS: dict[str, tuple[Draw, float]] = {
    "Cardiomegaly": (cardiomegaly, 0.11),
    "Pericardial effusion": (pericardial_effusion, 0.08),
    "Medical material": (medical_material, 0.11),
    "Hiatal hernia": (hernia, 0.14),
    "Arterial wall calcification": (aortic_calcification, 0.28),
    "Coronary artery wall calcification": (coronary_calcification, 0.25),
    "Lymphadenopathy": (lymphadenopathy, 0.25),
    "Pleural effusion": (pleural_effusion, 0.13),
    "Emphysema": (emphysema, 0.20),
    "Mosaic attenuation pattern": (mosaic, 0.09),
    "Interlobular septal thickening": (septal_thickening, 0.09),
    "Consolidation": (consolidation, 0.19),
    "Lung opacity": (opacity, 0.38),
    "Peribronchial thickening": (peribronchial_thickening, 0.12),
    "Bronchiectasis": (bronchiectasis, 0.11),
    "Pulmonary fibrotic sequela": (sequela, 0.27),
    "Atelectasis": (atelectasis, 0.23),
    "Lung nodule": (nodule, 0.45),
}
REPEATED = {"Lung nodule": 0.3, "Lung opacity": 0.35, "Consolidation": 0.2, "Pulmonary fibrotic sequela": 0.2}
NORMAL_SHARE = {"easy": 0.2, "real": 0.12}
MOST_EASY, MOST_REAL, TRIES = 4, 8, 10
SMALLEST_ML = {"Lymphadenopathy": 0.8, "Hiatal hernia": 8.0, "Consolidation": 3.0, "Lung opacity": 3.0}
SMALLEST_EASY_ML = 2.0


def draw_kinds(rng: np.random.Generator, difficulty: Difficulty) -> list[str]:
    """The kinds that a patient shall have, in the order of drawing; a kind that comes twice lies in two places."""
    if rng.random() < NORMAL_SHARE[difficulty]:
        return []
    if difficulty == "easy":
        count = int(rng.integers(1, MOST_EASY + 1))
        return in_drawing_order(rng.choice(EASY_KINDS, count, replace=False).tolist())
    illness = rng.uniform(0.3, 1.9)  # who has much has more
    kinds = [kind for kind, (_, share) in DRAWS.items() if rng.random() < share * illness]
    kinds += [kind for kind in kinds if rng.random() < REPEATED.get(kind, 0.0)]
    kept = [kinds[i] for i in sorted(rng.permutation(len(kinds))[:MOST_REAL])]
    return in_drawing_order(kept or ["Lung nodule"])


def in_drawing_order(kinds: list[str]) -> list[str]:
    return sorted(kinds, key=list(DRAWS).index)


def draw_findings(
    rng: np.random.Generator, anatomy: Anatomy, kinds: list[str], difficulty: Difficulty
) -> tuple[Finding, ...]:
    """Each kind in a place of its own: no body reaches into another. A kind for which no room is left is dropped."""
    placed: list[tuple[Finding, Extent]] = []
    for kind in kinds:
        for _ in range(TRIES):
            finding = draw_finding(kind, Case(rng, anatomy, draw_region(rng), difficulty))
            extent = extent_of(finding.parts, anatomy)
            smallest = SMALLEST_EASY_ML if difficulty == "easy" else SMALLEST_ML.get(kind, 0.0)
            if extent.volume_ml > smallest and is_free(finding, extent, placed, anatomy):
                named = replace(finding, volume_ml=round(extent.volume_ml, 3), mask_value=len(placed) + 1)
                placed.append((named, extent))
                break
    return tuple(finding for finding, _ in placed)


def draw_finding(kind: str, case: Case) -> Finding:
    """One finding without a mask value. Reports of an `easy` cohort seldom name sizes, so that sentences recur."""
    draw, _ = DRAWS[kind]
    return replace(draw(case), sized=bool(not case.easy or case.rng.random() < 0.15))


def is_free(finding: Finding, extent: Extent, placed: list[tuple[Finding, Extent]], anatomy: Anatomy) -> bool:
    return not any(
        extent.meets(other.parts, anatomy) or other_extent.meets(finding.parts, anatomy)
        for other, other_extent in placed
    )
