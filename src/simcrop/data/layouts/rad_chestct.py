"""RAD-ChestCT's tree as studies: npz volumes, and findings by location rebuilt into the 16 classes of the paper.

No axes here; spacing in mm. The root holds:

    trn00001.npz ...                                            one volume per patient's scan
    img{train,valid,test}_Abnormality_and_Location_Labels.csv   0 or 1 per abnormality*location
    CT_Scan_Metadata_Complete_35747.csv                         patient and final spacing; not needed

Only the volumes are needed. A class is positive when any of its abnormalities is, at any location. Each class has
abnormalities of its own: the released lists hold one effusion column twice, ours cannot.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from simcrop.data.hounsfield import Hint, numbers
from simcrop.data.layouts.raw import Listing, RawStudy, Refusal, brief
from simcrop.data.layouts.table import Row, each_row, label_of
from simcrop.errors import SimcropError

KEY, PATIENT, SPACING = "NoteAcc_DEID", "MRN_DEID", "final_spacing"
SPLITS = ("train", "valid", "test")
PREFIXES = {"trn": "train", "val": "valid", "tst": "test"}
CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Medical material": (
            "breast_implant", "catheter_or_port", "chest_tube", "clip", "gi_tube", "hardware",
            "heart_valve_replacement", "pacemaker_or_defib", "staple", "stent", "suture", "tracheal_tube",
        ),
        "Calcification": ("calcification", "scattered_calc"),
        "Cardiomegaly": ("cardiomegaly",),
        "Pericardial effusion": ("pericardial_effusion",),
        "Hiatal hernia": ("hernia",),
        "Lymphadenopathy": ("lymphadenopathy",),
        "Emphysema": ("emphysema",),
        "Atelectasis": ("atelectasis",),
        "Lung nodule": ("nodule", "nodulegr1cm", "scattered_nod"),
        "Lung opacity": ("opacity", "groundglass"),
        "Pulmonary fibrotic sequela": ("fibrosis",),
        "Pleural effusion": ("pleural_effusion",),
        "Peribronchial thickening": ("bronchial_wall_thickening",),
        "Consolidation": ("consolidation",),
        "Bronchiectasis": ("bronchiectasis",),
        "Interlobular septal thickening": ("septal_thickening",),
    }
)  # fmt: skip
"""Our reading of which abnormalities make a class; the data set names none."""

Labels = dict[str, int | None]


def list_rad_chestct(source: Path) -> Listing:
    """Every volume of the tree with what the tables say of it."""
    volumes = {path.stem: path for path in sorted(source.glob("*.npz"), reverse=True)}
    volumes |= {path.stem: path for path in sorted(source.glob("*/*.npz")) if path.stem not in volumes}
    tables = [(split, path) for split in SPLITS if (path := label_table(source, split)).is_file()]
    label_rows: dict[str, tuple[str, Labels]] = {}
    refusals = []
    for split, path in tables:
        for name, labels in read_labels(path):
            if label_rows.setdefault(name, (split, labels)) != (split, labels):
                raise SimcropError("duplicate-row", f"{path}: a second, different row for {brief(name)}")
    metadata = read_metadata(source, frozenset(volumes))
    studies = [
        study_of(name, volumes[name], label_rows.get(name), metadata.get(name)) for name in sorted(volumes)
    ]
    for name in sorted(label_rows.keys() - volumes.keys()):
        sentence = (
            f"{label_table(source, label_rows[name][0]).name} names {brief(name)}, but there is no such .npz"
        )
        refusals.append(Refusal(brief(name), None, "no-volume", sentence))
    return Listing(tuple(studies), tuple(refusals))


def label_table(source: Path, split: str) -> Path:
    return source / f"img{split}_Abnormality_and_Location_Labels.csv"


def study_of(name: str, path: Path, label_row: tuple[str, Labels] | None, metadata: Row | None) -> RawStudy:
    """One volume; the table that names it says its split, else its own name does."""
    split, labels = label_row or (PREFIXES.get(name[:3], "train"), dict.fromkeys(CLASSES))
    notes = ("no report",) if label_row else ("no report", "in no label table")
    patient = (metadata or {}).get(PATIENT, "").strip() or name
    hint = hint_of(metadata.get(SPACING)) if metadata else None
    return RawStudy(name, patient, name, split, path, hint, labels=labels, notes=notes)


def read_labels(path: Path) -> Iterator[tuple[str, Labels]]:
    """Volume name -> classes, row by row: the real tables have 4,368 columns."""
    columns: dict[str, list[str]] = {}
    for row in each_row(path, (KEY,)):
        columns = columns or columns_of(path, row)
        yield row[KEY].strip().removesuffix(".npz"), {k: any_of(path, row, v) for k, v in columns.items()}


def columns_of(path: Path, row: Row) -> dict[str, list[str]]:
    """Class -> its columns; every abnormality of ours must be there at one location at least."""
    by_name: dict[str, list[str]] = {}
    for column in row:
        by_name.setdefault(column.partition("*")[0], []).append(column)
    missing = [name for names in CLASSES.values() for name in names if name not in by_name]
    if missing:
        raise SimcropError(
            "missing-columns", f"{path}: no column {', '.join(f'{n}*LOCATION' for n in missing)}"
        )
    return {k: [column for name in names for column in by_name[name]] for k, names in CLASSES.items()}


def any_of(path: Path, row: Row, columns: list[str]) -> int | None:
    """1 when one column says so, 0 when some say 0, unknown when none says anything."""
    values = {label_of(path, column, row[column]) for column in columns}
    return 1 if 1 in values else 0 if 0 in values else None


def read_metadata(source: Path, names: frozenset[str]) -> dict[str, Row]:
    """Volume name -> its row, of those volumes that are there."""
    paths = sorted(source.glob("CT_Scan_Metadata_Complete_*.csv"))
    rows = (row for path in paths for row in each_row(path, (KEY, PATIENT)))
    return {name: row for row in rows if (name := row[KEY].strip().removesuffix(".npz")) in names}


def hint_of(spacing: str | None) -> Hint | None:
    """The voxels' size where the table states one: the format itself has only its custom of 0.8 mm."""
    mm = numbers(spacing, 3)
    return Hint(1.0, 0.0, (mm[0], mm[1], mm[2])) if mm and min(mm) > 0 and max(mm) < 50 else None
