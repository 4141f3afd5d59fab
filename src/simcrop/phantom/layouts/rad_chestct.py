"""Phantom patients in the raw layout of RAD-ChestCT: one npz per patient, findings by location, no reports.

Arrays inside are int16 HU, z to the feet, y to the back, x to the left, on a cube grid: 0.8 mm at full size, as in the
data set; coarser phantoms state their `final_spacing` in the metadata table.
"""

from pathlib import Path

from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.layouts.formats import write_nifti, write_npz
from simcrop.phantom.layouts.tree import (
    Columns,
    Entry,
    Request,
    Row,
    Tree,
    mask_path,
    report_of,
    truth_lines,
    write_tables,
)
from simcrop.phantom.patient import Patient

ABNORMALITY = {
    "Medical material": "catheter_or_port",
    "Arterial wall calcification": "calcification",
    "Cardiomegaly": "cardiomegaly",
    "Pericardial effusion": "pericardial_effusion",
    "Coronary artery wall calcification": "calcification",
    "Hiatal hernia": "hernia",
    "Lymphadenopathy": "lymphadenopathy",
    "Emphysema": "emphysema",
    "Atelectasis": "atelectasis",
    "Lung nodule": "nodule",
    "Lung opacity": "groundglass",
    "Pulmonary fibrotic sequela": "fibrosis",
    "Pleural effusion": "pleural_effusion",
    "Mosaic attenuation pattern": "air_trapping",
    "Peribronchial thickening": "bronchial_wall_thickening",
    "Consolidation": "consolidation",
    "Bronchiectasis": "bronchiectasis",
    "Interlobular septal thickening": "septal_thickening",
}
"""CT-RATE's labels in the words of this data set."""

# The rest of the abnormalities that make the 16 classes: no phantom has them, the tables must.
ABSENT = (
    *("breast_implant", "chest_tube", "clip", "gi_tube", "hardware", "heart_valve_replacement"),
    *("pacemaker_or_defib", "staple", "stent", "suture", "tracheal_tube", "scattered_calc"),
    *("nodulegr1cm", "scattered_nod", "opacity"),
)
HOMES = {
    "Medical material": "svc",
    "Arterial wall calcification": "aorta",
    "Cardiomegaly": "heart",
    "Pericardial effusion": "heart",
    "Coronary artery wall calcification": "heart",
    "Hiatal hernia": "esophagus",
    "Lymphadenopathy": "mediastinum",
}
LOBES = {"upper": "upper", "middle": "mid", "lower": "lower"}
LUNG_LOCATIONS = tuple(
    f"{side}_{part}" for side in ("right", "left") for part in ("upper", "mid", "lower", "lung")
)
LOCATIONS = (*LUNG_LOCATIONS, "lung", "heart", "aorta", "svc", "esophagus", "mediastinum", "other_location")
KEY = "NoteAcc_DEID"
METADATA = ("VolumeAcc_DEID", KEY, "MRN_DEID", "Subset_Assigned", "final_spacing")
METADATA_TABLE = "CT_Scan_Metadata_Complete_phantom.csv"
SUBSETS = {3: ("valid", "val"), 7: ("test", "tst")}  # by the number's last digit; all others train


def subset(patient: Patient) -> tuple[str, str]:
    """Name of the part, and what the volume's name begins with."""
    return SUBSETS.get(patient.number % 10, ("train", "trn"))


def volume_of(patient: Patient) -> str:
    return f"{subset(patient)[1]}{patient.number:05d}"


def label_table(split: str) -> str:
    return f"img{split}_Abnormality_and_Location_Labels.csv"


def columns() -> Columns:
    names = sorted({*ABNORMALITY.values(), *ABSENT})
    head = (KEY, *(f"{name}*{location}" for name in names for location in LOCATIONS))
    labels = {label_table(split): head for split in ("train", "valid", "test")}
    return {**labels, METADATA_TABLE: METADATA}


def write(out: Path, request: Request, patients: list[Patient]) -> None:
    for patient in patients:
        volume = volume_of(patient)
        path, marked = out / f"{volume}.npz", mask_path(out, volume)
        if path.is_file() and marked.is_file():
            continue
        size = f"{request.size}-isotropic"
        scans, mask = patient.scans(size)
        write_npz(path, scans[0])
        write_nifti(marked, mask, patient.grid(size).affine)


def locations_of(finding: Finding) -> list[str]:
    """Where the table says a finding is: its lobe, the lung around it, and lungs as such, as in the data set."""
    if finding.kind in HOMES:
        return [HOMES[finding.kind]]
    if finding.side is None:
        return ["other_location"]
    sides = ("left", "right") if finding.side == "both" else (finding.side,)
    lobes = [f"{side}_{LOBES[finding.lobe]}" for side in sides] if finding.lobe else []
    return [*lobes, *(f"{side}_lung" for side in sides), "lung"]


def entry(request: Request, patient: Patient) -> Entry:
    split, _ = subset(patient)
    volume, names = volume_of(patient), columns()[label_table(split)]
    row: Row = dict.fromkeys(names, "0") | {KEY: volume}
    for finding in patient.findings:
        row |= {f"{ABNORMALITY[finding.kind]}*{location}": "1" for location in locations_of(finding)}
    spacing = ", ".join(map(str, patient.grid(f"{request.size}-isotropic").spacing_mm))
    facts = (f"{volume}.npz", volume, f"phantom{patient.number}", f"img{split}", f"({spacing})")
    rows = {label_table(split): [row], METADATA_TABLE: [dict(zip(METADATA, facts, strict=True))]}
    return Entry((volume,), rows, truth_lines((volume,), report_of(patient)))


def finish(out: Path, entries: list[Entry]) -> None:
    write_tables(out, columns(), entries)


RAD_CHESTCT = Tree(write, entry, finish)
