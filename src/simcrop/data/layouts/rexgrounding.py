"""ReXGroundingCT's tree as studies: CT-RATE's scans, the findings that its JSON lists, a mask for each finding.

No axes or units. At the root lie

    MICCAI_challenge_dataset.json and dataset.json    or one of them; the lists train, val and test
    segmentations/train_1_a_1.nii.gz                  masks (F, H, W, D): F findings on the voxels of the scan
    anywhere else below: train_1_a_1.nii.gz           the scan, as in CT-RATE's tree or in one folder

Of a list that both files have, the challenge's counts. An entry is `{"name", "findings": {"0": text, ...},
"categories": {"0": "2b", ...}, "pixels": {...}, "entity_counts": {...}, "shape": [...]}`. Masks of train hold three
instances of a finding at most: what is not marked there is not known to be healthy. Those of val and test are complete;
those of test are withheld. `metadata/` of CT-RATE is read where it is there, for scans whose headers lack the rescale.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from simcrop.data.findings import CATEGORIES, Finding
from simcrop.data.hounsfield import hint_from_ct_rate
from simcrop.data.layouts.ct_rate import NAME, SUFFIX, keyed
from simcrop.data.layouts.decathlon import read_json
from simcrop.data.layouts.raw import Listing, RawStudy, Refusal, brief
from simcrop.data.organs import ended
from simcrop.errors import SimcropError

LISTS = ("MICCAI_challenge_dataset.json", "dataset.json")  # the first that has a split says what is in it
SPLITS = {"train": "train", "val": "valid", "test": "test"}
PARTIAL = {"train"}  # at most three instances of a finding are marked
MASKS = "segmentations"
WITHHELD = "no mask of its findings"
MOST = 1000  # findings of one scan
KEY = "VolumeName"


def list_rexgrounding(source: Path) -> Listing:
    """Every scan that is listed and is there, with its findings."""
    entries = entries_of(source)
    scans, refusals = scans_below(source)
    hints = keyed(source, "metadata", "metadata", (KEY, "RescaleSlope", "RescaleIntercept"))
    studies: dict[str, RawStudy] = {}
    for split, entry in entries:
        name = name_of(entry)
        try:
            study = study_of(source, name, split, scan_of(name, scans), findings_of(entry, split))
        except SimcropError as error:
            refusals.append(Refusal(brief(name) or "(nameless)", None, error.reason, error.sentence))
            continue
        study = replace(study, hint=hint_from_ct_rate(hints[name][1]) if name in hints else None)
        if studies.setdefault(name, study) is not study:
            refusals.append(Refusal(name, study.path, "duplicate-name", f"the JSON lists {name} twice"))
    taken = tuple(study for _, study in sorted(studies.items()))
    return Listing(taken, tuple(sorted(refusals, key=lambda r: (r.name, str(r.path)))))


def entries_of(source: Path) -> list[tuple[str, dict[str, Any]]]:
    """What the JSONs list: the split as they call it, and the entry."""
    tables = [(path, read_json(path)) for name in LISTS if (path := source / name).is_file()]
    if not tables:
        raise SimcropError("missing-file", f"{source}: none of {', '.join(LISTS)}; they say what is marked")
    entries: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for path, table in tables:
        if not isinstance(table, dict) or not SPLITS.keys() & table.keys():
            raise SimcropError("bad-json", f"{path}: expected the lists {', '.join(SPLITS)} inside")
        for split in [split for split in SPLITS if split in table and split not in seen]:
            listed = table[split]
            if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
                raise SimcropError("bad-json", f"{path}: {split} is no list of scans")
            entries += [(split, entry) for entry in listed]
            seen.add(split)
    return entries


def name_of(entry: dict[str, Any]) -> str:
    name = entry.get("name")
    return name.removesuffix(SUFFIX) if isinstance(name, str) else ""


def scans_below(source: Path) -> tuple[dict[str, Path], list[Refusal]]:
    """Every scan by its name; one of a `_fixed` tree wins over its raw twin."""
    scans: dict[str, Path] = {}
    refusals = []
    for folder, names, files in os.walk(source):
        names.sort()
        if Path(folder) == source:
            names[:] = [name for name in names if name not in (MASKS, "truth")]
        for path in sorted(
            Path(folder) / file for file in files if NAME.fullmatch(file.removesuffix(SUFFIX))
        ):
            if not path.name.endswith(SUFFIX):
                continue
            name = path.name.removesuffix(SUFFIX)
            first = scans.setdefault(name, path)
            if first != path and is_fixed(path) == is_fixed(first):
                refusals.append(Refusal(name, path, "duplicate-name", f"{path}: {first} has the same name"))
            elif is_fixed(path):
                scans[name] = path
    return scans, refusals


def scan_of(name: str, scans: Mapping[str, Path]) -> Path:
    if name not in scans:
        raise SimcropError("no-volume", f"the JSON lists {brief(name)}{SUFFIX}, but there is no such scan")
    return scans[name]


def is_fixed(path: Path) -> bool:
    return any(part.endswith("_fixed") for part in path.parts)


def study_of(source: Path, name: str, split: str, path: Path, findings: tuple[Finding, ...]) -> RawStudy:
    """One scan; its report is what is marked in it and nothing else."""
    match = NAME.fullmatch(name)
    assert match is not None  # only such names were looked for
    mask = source / MASKS / f"{name}{SUFFIX}"
    return RawStudy(
        id=name,
        patient=match["patient"],
        scan=match["scan"],
        split=SPLITS[split],
        path=path,
        findings=" ".join(ended(finding.text) for finding in findings),
        notes=() if mask.is_file() else (WITHHELD,),
        mask=mask if mask.is_file() else None,
        marked=findings,
    )


def findings_of(entry: dict[str, Any], split: str) -> tuple[Finding, ...]:
    """The findings in the order of their masks."""
    texts, categories = entry.get("findings"), entry.get("categories", {})
    keys = [str(number) for number in range(len(texts))] if isinstance(texts, dict) else []
    if not isinstance(texts, dict) or not 0 < len(keys) <= MOST or set(texts) != set(keys):
        raise bad(entry, 'findings wants {"0": text, "1": text, ...}')
    if not all(isinstance(text, str) and text.strip() for text in texts.values()):
        raise bad(entry, "a finding has no words")
    if not isinstance(categories, dict) or any(categories.get(key) not in CATEGORIES for key in keys):
        raise bad(entry, f"categories wants one of {', '.join(CATEGORIES)} for every finding")
    return tuple(
        Finding(
            " ".join(texts[key].split()),
            categories[key],
            split not in PARTIAL,
            count_of(entry, "pixels", key),
            count_of(entry, "entity_counts", key),
        )
        for key in keys
    )


def count_of(entry: dict[str, Any], field: str, key: str) -> int | None:
    counts = entry.get(field)
    count = counts.get(key) if isinstance(counts, dict) else None
    return count if isinstance(count, int) else None


def bad(entry: dict[str, Any], what: str) -> SimcropError:
    return SimcropError(
        "bad-json", f"the entry of {brief(name_of(entry)) or 'a scan without a name'}: {what}"
    )
