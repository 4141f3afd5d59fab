"""CT-RATE's tree as studies: volumes, reports, labels, and the metadata that its headers lack.

No axes or units. Below the root, or below its `dataset/`, may lie:

    dataset/{train,valid}[_fixed]/train_1/train_1_a/train_1_a_1.nii.gz   volumes; `_fixed` wins over raw
    radiology_text_reports/{train,validation}_reports.csv                one row per volume
    metadata/{train,validation}_metadata.csv                             rescale and geometry per volume
    metadata/no_chest_{train,valid}.txt                                  volumes to leave out
    multi_abnormality_labels/{train,valid}_predicted_labels.csv          0 or 1 per finding

Only the volumes are needed. Reconstructions of one scan share its report. A volume may have its organ map beside it,
see `organ_maps`.
"""

import os
import re
from collections.abc import Mapping, Set
from pathlib import Path

from simcrop.data.hounsfield import hint_from_ct_rate
from simcrop.data.layouts.organ_maps import organ_maps_of, with_organ_maps
from simcrop.data.layouts.raw import Listing, RawStudy, Refusal, brief
from simcrop.data.layouts.table import Row, label_of, not_utf8, read_table
from simcrop.data.reports.leavings import clean_cell
from simcrop.errors import SimcropError

SPLITS = ("train", "valid")
TREES = {f"{split}{fixed}": split for fixed in ("_fixed", "") for split in SPLITS}
SUFFIX = ".nii.gz"
NAME = re.compile(r"(?P<scan>(?P<patient>[A-Za-z0-9_-]+)_[A-Za-z]+)_[0-9]+")
KEY, FINDINGS, IMPRESSION = "VolumeName", "Findings_EN", "Impressions_EN"


def list_ct_rate(source: Path) -> Listing:
    """Every volume of the tree with what the tables say of it."""
    if not any(
        (source / "dataset" / tree).is_dir() for split in SPLITS for tree in (split, f"{split}_fixed")
    ):
        raise SimcropError(
            "no-scans",
            f"{source}: no dataset/train, dataset/valid, nor their _fixed twins, expected CT-RATE's root",
        )
    trees = {tree: nifti_below(source / "dataset" / tree) for tree in TREES}
    map_of = organ_maps_of(path for paths in trees.values() for path in paths)
    volumes, refusals = find_volumes(trees, set(map_of.values()))
    tables = Tables(source)
    studies = []
    for name in sorted(volumes):
        if name in tables.no_chest:
            refusals.append(Refusal(name, volumes[name][0], "no-chest", f"{name} is on the no_chest list"))
        elif not NAME.fullmatch(name):
            refusals.append(bad_name(name, volumes[name][0]))
        else:
            studies.append(tables.study(name, *volumes[name]))
    refusals += tables.without_volume(volumes)
    listing = Listing(tuple(studies), tuple(sorted(refusals, key=lambda r: (r.name, str(r.path)))))
    return with_organ_maps(listing, map_of)


def find_volumes(
    trees: Mapping[str, list[Path]], maps: Set[Path]
) -> tuple[dict[str, tuple[Path, str, tuple[str, ...]]], list[Refusal]]:
    """Name -> file, split, notes. The repaired trees come first, so that a raw twin only leaves a note."""
    volumes: dict[str, tuple[Path, str, tuple[str, ...]]] = {}
    refusals = []
    for tree, paths in trees.items():
        split = TREES[tree]
        for path in paths:
            if path in maps:
                continue
            name = path.name.removesuffix(SUFFIX)
            first = volumes.setdefault(name, (path, split, ()))
            if first[0] == path:
                continue
            if first[1] == split and not tree.endswith("_fixed") and f"{split}_fixed" in first[0].parts:
                volumes[name] = (*first[:2], (f"taken from {split}_fixed, its raw twin left aside",))
            else:
                refusals.append(
                    Refusal(name, path, "duplicate-name", f"{path}: {first[0]} has the same name")
                )
    return volumes, refusals


def nifti_below(tree: Path) -> list[Path]:
    found = (Path(folder) / name for folder, _, names in os.walk(tree) for name in names)
    return sorted(path for path in found if path.name.endswith(SUFFIX) and not path.name.startswith("._"))


def bad_name(name: str, path: Path) -> Refusal:
    return Refusal(name, path, "bad-name", f"{path}: expected a name such as train_1_a_1{SUFFIX}")


class Tables:
    """The four tables, each keyed by the volume's name without `.nii.gz`; a table that is absent is empty."""

    def __init__(self, source: Path) -> None:
        self.reports = keyed(source, "radiology_text_reports", "reports", (KEY, FINDINGS, IMPRESSION))
        self.metadata = keyed(source, "metadata", "metadata", (KEY, "RescaleSlope", "RescaleIntercept"))
        self.labels = keyed(source, "multi_abnormality_labels", "predicted_labels", (KEY,))
        self.no_chest = no_chest(source)
        self.by_scan = {scan_of(name): found for name, found in reversed(list(self.reports.items()))}

    def study(self, name: str, path: Path, split: str, notes: tuple[str, ...]) -> RawStudy:
        """One volume with its report, labels and hint."""
        match = NAME.fullmatch(name)
        assert match is not None
        report = self.reports.get(name)
        if report is None and (report := self.by_scan.get(match["scan"])):
            notes += ("report taken from another reconstruction of the same scan",)
        findings, impression = (
            clean_cell(report[1][name]) if report else "" for name in (FINDINGS, IMPRESSION)
        )
        if not (findings.strip() or impression.strip()):
            notes += ("no report",)
        metadata, labels = self.metadata.get(name), self.labels.get(name)
        return RawStudy(
            id=name,
            patient=match["patient"],
            scan=match["scan"],
            split=split,
            path=path,
            hint=hint_from_ct_rate(metadata[1]) if metadata else None,
            findings=findings,
            impression=impression,
            labels={k: label_of(labels[0], k, v) for k, v in labels[1].items() if k != KEY} if labels else {},
            notes=notes,
        )

    def without_volume(self, volumes: dict[str, tuple[Path, str, tuple[str, ...]]]) -> list[Refusal]:
        """Report rows whose volume is not on disk."""
        refusals = []
        for name, (path, _) in self.reports.items():
            if name not in volumes:
                reason = "no-chest" if name in self.no_chest else "no-volume"
                sentence = f"{path.name} names {brief(name)}{SUFFIX}, but dataset/ has no such file"
                refusals.append(Refusal(brief(name), None, reason, sentence))
        return refusals


def scan_of(name: str) -> str:
    return name.rpartition("_")[0]


def places(source: Path, folder: str) -> list[Path]:
    """Both homes that the tables have had."""
    return [source / folder, source / "dataset" / folder]


def keyed(source: Path, folder: str, what: str, needed: tuple[str, ...]) -> dict[str, tuple[Path, Row]]:
    """Volume name -> the file that names it, and its row; two rows that disagree are an error."""
    rows: dict[str, tuple[Path, Row]] = {}
    for place in places(source, folder):
        for split in ("train", "valid", "validation"):
            path = place / f"{split}_{what}.csv"
            if not path.is_file():
                continue
            for row in read_table(path, needed):
                name = row[KEY].strip().removesuffix(SUFFIX)
                if rows.setdefault(name, (path, row))[1] != row:
                    raise SimcropError(
                        "duplicate-row", f"{path}: a second, different row for {brief(name)}{SUFFIX}"
                    )
    return rows


def no_chest(source: Path) -> frozenset[str]:
    """Names on the lists of volumes that show no chest; one per line, with or without folders before it."""
    names: set[str] = set()
    for place in places(source, "metadata"):
        for split in (*SPLITS, "validation"):
            path = place / f"no_chest_{split}.txt"
            try:
                text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
            except UnicodeDecodeError as error:
                raise not_utf8(path) from error
            lines = (line.strip().strip(",\"'") for line in text.splitlines())
            names |= {line.rpartition("/")[2].removesuffix(SUFFIX) for line in lines if line}
    return frozenset(names)
