"""By what the root of a data set is known, for those who do not name its layout.

No axes or units. Read as scans in any folders, such a data set would lose its reports and labels, and who the patients
are.
"""

import json
from collections.abc import Callable
from pathlib import Path

from simcrop.errors import SimcropError


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
    )
    return next((f"{name}/" for name in names if (source / name).is_dir()), "")


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
    """A list of scans and labels by pairs; nnU-Net's own `dataset.json` has none."""
    return "dataset.json" if listed(source / "dataset.json", "training") else ""


def listed(path: Path, name: str) -> bool:
    try:
        facts = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and isinstance(facts.get(name), list)


# By the layouts to choose from: whose data set it is, and what tells it. The first that fits is named.
MARKS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "rexgrounding ct-rate": ("ReXGroundingCT beside CT-RATE's scans", rexgrounding),
    "ct-rate": ("CT-RATE", ct_rate),
    "rad-chestct": ("RAD-ChestCT", rad_chestct),
    "luna16": ("LUNA16", luna16),
    "cc-ccii": ("CC-CCII", cc_ccii),
    "decathlon btcv": ("a data set in the Decathlon's style", decathlon),
}
