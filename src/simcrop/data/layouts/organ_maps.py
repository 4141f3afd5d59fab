"""TotalSegmentator's label maps beside scans: the map of `ct7.nii.gz`, or of the folder `ct7/`, is `ct7_organs.nii.gz`.

No axes or units. A map is the file of its task `total`, version 2, with all classes in one (`--ml`), on the scan's own
grid. It is no scan, and a folder of one mask for each class holds none. Masks of a data set's own count other things by
the same numbers: where there are some, no map is taken, and each scan that has one says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from simcrop.data.layouts.raw import Listing, RawStudy, Refusal, stem
from simcrop.data.organs import total_classes

ENDING = "_organs.nii.gz"
FEWEST = 3  # masks by which a folder is known for one of classes
LEFT_ASIDE = "its organ map is left aside: this data set has masks of its own"


def organ_maps_of(scans: Iterable[Path]) -> dict[Path, Path]:
    """Scan -> its organ map, of all that may be scans."""
    scans = list(scans)
    maps = {path for path in scans if path.name.lower().endswith(ENDING)}
    found = ((scan, scan.with_name(f"{stem(scan.name)}{ENDING}")) for scan in scans if scan not in maps)
    return {scan: path for scan, path in found if path in maps}


def without_class_folders(root: Path, scans: Iterable[Path]) -> tuple[list[Path], list[Refusal]]:
    """The scans that do not lie among masks of single classes, and why each folder of such masks is none."""
    scans, by_folder = list(scans), dict[Path, list[Path]]()
    for path in scans:
        by_folder.setdefault(path.parent, []).append(path)
    names = set(total_classes().values())
    masks = {
        folder: paths
        for folder, paths in by_folder.items()
        if len(paths) >= FEWEST and {stem(path.name) for path in paths} <= names
    }
    refusals = [
        Refusal(
            folder.relative_to(root).as_posix(),
            folder,
            "not-ct",
            f"{folder}: holds {len(paths)} masks of one class each: of ct.nii.gz, TotalSegmentator writes one map "
            f"with `-o ct{ENDING} --ml`, which is read",
        )
        for folder, paths in sorted(masks.items())
    ]
    return [path for path in scans if path.parent not in masks], refusals


def with_organ_maps(listing: Listing, map_of: Mapping[Path, Path]) -> Listing:
    """The studies with their maps as masks, where the data set has none of its own."""
    if not map_of:
        return listing
    if any(study.mask for study in listing.studies):
        return replace(listing, studies=tuple(noted(study, map_of) for study in listing.studies))
    studies = tuple(replace(study, mask=map_of.get(study.path)) for study in listing.studies)
    return replace(listing, studies=studies, classes=total_classes())


def noted(study: RawStudy, map_of: Mapping[Path, Path]) -> RawStudy:
    return replace(study, notes=(*study.notes, LEFT_ASIDE)) if study.path in map_of else study
