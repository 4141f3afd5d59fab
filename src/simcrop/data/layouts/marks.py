"""By what the root of a data set is known, for those who do not name its layout.

No axes or units. Read as scans in any folders, such a data set would lose its reports and labels, and who the patients
are.
"""

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from simcrop.data.layouts.decathlon import read_json
from simcrop.data.layouts.folder_masks import LISTS
from simcrop.errors import SimcropError

CT_RATE_PATIENT = re.compile(r"(?:train|valid)_\d+")
CT_RATE_SCAN = re.compile(r"(?:train|valid)_\d+_[a-z]+(?:_\d+\.nii\.gz)?")
LOOKED_AT = 100  # entries of a folder


def refuse_known(source: Path) -> None:
    """Raises SimcropError with the layouts to choose from where `source` is the root of a data set that has its own."""
    for layouts, (whose, mark) in MARKS.items():
        if found := mark(source):
            choose = " or ".join(f"--layout {name}" for name in layouts.split())
            raise SimcropError(
                "layout-not-named",
                f"{source}: {found} looks like {whose}: choose {choose}, or --layout folder to take it as scans in any "
                "folders, without what its tables say",
            )


def ct_rate(source: Path) -> str:
    names = (
        "radiology_text_reports",
        "dataset/train_fixed",
        "dataset/valid_fixed",
        "multi_abnormality_labels",
        "dataset/radiology_text_reports",
        "dataset/multi_abnormality_labels",
    )
    sure = next((f"{name}/" for name in names if (source / name).is_dir()), "")
    trees = (f"dataset/{split}" for split in ("train", "valid"))
    return sure or next((f"{tree}/" for tree in trees if is_tree_of_ct_rate(source / tree)), "")


def is_tree_of_ct_rate(tree: Path) -> bool:
    """Others have a `dataset/train`, too: something near its beginning must be named as `train_1/train_1_a`."""
    try:
        for place in islice(tree.iterdir(), LOOKED_AT):
            inside = islice(place.iterdir(), LOOKED_AT) if CT_RATE_PATIENT.fullmatch(place.name) else (place,)
            if any(CT_RATE_SCAN.fullmatch(path.name) for path in inside):
                return True
    except OSError:
        pass
    return False


def rad_chestct(source: Path) -> str:
    return next((path.name for path in sorted(source.glob("img*_Abnormality_and_Location_Labels.csv"))), "")


def luna16(source: Path) -> str:
    subset = next((f"subset{n}/" for n in range(10) if (source / f"subset{n}").is_dir()), "")
    tables = ("annotations.csv", "candidates.csv", "candidates_V2.csv", "CSVFILES", "seg-lungs-LUNA16")
    return subset if any((source / name).exists() for name in tables) else ""


def cc_ccii(source: Path) -> str:
    """Folders that are named so by other people, too: two of the three kinds must be there."""
    kinds = [kind for kind in ("NCP", "CP", "Normal") if any(source.glob(f"{kind}*"))]
    return " and ".join(kinds[:2]) if len(kinds) > 1 and "NCP" in kinds else ""


def rexgrounding(source: Path) -> str:
    names = ("MICCAI_challenge_dataset.json", "dataset.json")
    return next(
        (name for name in names if listed(source / name, "train") and listed(source / name, "val")), ""
    )


def decathlon(source: Path) -> str:
    """A list of scans and labels by pairs (nnU-Net's own has none) that the layout `folder` does not read itself."""
    lists = [path for path in sorted(source.glob("dataset*.json")) if listed(path, "training")]
    read = any(path.name == LISTS and "labels" in facts_in(path) for path in lists)
    return "" if read or not lists else lists[0].name


def listed(path: Path, name: str) -> bool:
    return isinstance(facts_in(path).get(name), list)


def facts_in(path: Path) -> dict[str, Any]:
    try:
        facts = read_json(path) if path.is_file() else {}
    except (SimcropError, OSError):
        return {}
    return facts if isinstance(facts, dict) else {}


# By the layouts to choose from: whose data set it is, and what tells it. The first that fits is named.
MARKS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "rexgrounding ct-rate": ("ReXGroundingCT beside CT-RATE's scans", rexgrounding),
    "ct-rate": ("CT-RATE", ct_rate),
    "rad-chestct": ("RAD-ChestCT", rad_chestct),
    "luna16": ("LUNA16", luna16),
    "cc-ccii": ("CC-CCII", cc_ccii),
    "decathlon btcv": ("a data set in the Decathlon's style", decathlon),
}
