"""What TotalSegmentator would make of a phantom: a label map beside a scan.

Label maps are uint8 `(z, y, x)` with the numbers of its task `total`, from the very bodies that are painted: lobes,
trachea, heart, aorta, esophagus and the organs of the upper belly. Findings change no organ.
"""

from pathlib import Path

import numpy as np

from simcrop.data.organs import total_classes
from simcrop.phantom.anatomy.body import LOBES, Anatomy
from simcrop.phantom.anatomy.chest import LEFT_LUNG, RIGHT_LUNG, TRACHEA
from simcrop.phantom.anatomy.layers import Layer, Painting
from simcrop.phantom.grid import Grid, Pose
from simcrop.phantom.layouts.formats import write_nifti
from simcrop.phantom.organs import ORGANS, lung_labels, masked, organ_labels
from simcrop.phantom.patient import Patient

OTHER_NAMES = {
    "inferior vena cava": "inferior_vena_cava",
    "portal and splenic veins": "portal_vein_and_splenic_vein",
}


def organ_map(anatomy: Anatomy, pose: Pose, grid: Grid) -> np.ndarray:
    """All organs that the phantom knows, 0 elsewhere."""
    number_of = {name: number for number, name in total_classes().items()}
    table = np.zeros(max(ORGANS) + 1, np.uint8)
    for number, name in ORGANS.items():
        table[number] = number_of[total_name(name)]
    organs = table[organ_labels(anatomy, pose, grid)]
    airspace = lung_labels(anatomy, pose, grid)
    heart = [Layer(anatomy.heart.solid, float(number_of["heart"]))]
    lobes = {
        of: [
            Layer(anatomy.side(of).lobe_solid(lobe), float(number_of[f"lung_{lobe}_lobe_{side}"]))
            for side, lobe in LOBES
            if side == of
        ]
        for of, _ in LOBES
    }
    left, right, middle = (
        masked(Painting(tuple(layers), anatomy.texture_at, crisp=True), pose, grid)
        for layers in (lobes["left"], lobes["right"], heart)
    )
    air = np.zeros_like(organs)
    for value, of in ((LEFT_LUNG, left), (RIGHT_LUNG, right), (TRACHEA, np.uint8(number_of["trachea"]))):
        air = np.where(airspace == value, of, air)
    return np.where(organs > 0, organs, np.where(airspace > 0, air, middle)).astype(np.uint8)


def total_name(name: str) -> str:
    """`right kidney` -> `kidney_right`."""
    first, *rest = name.split()
    return OTHER_NAMES.get(name) or ("_".join([*rest, first]) if first in ("left", "right") else name)


def write_organ_map(scan: Path, patient: Patient, grid: Grid, affine: np.ndarray) -> None:
    """Beside the scan, with the same `affine`, unless it is there."""
    path = organ_path(scan)
    if not path.is_file():
        write_nifti(path, organ_map(patient.anatomy, patient.pose, grid), affine)


def organ_path(scan: Path) -> Path:
    """`train_1_a_1.nii.gz` -> `train_1_a_1_organs.nii.gz`; `ct`, a folder of slices, -> `ct_organs.nii.gz`."""
    return scan.with_name(f"{scan.name.split('.')[0]}_organs.nii.gz")
