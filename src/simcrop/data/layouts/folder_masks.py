"""Masks among a hospital's own scans: a file beside each scan, or what a JSON in the Decathlon's style names.

No axes or units. The mask of `ct7.nii.gz`, or of the folder `ct7/` of DICOM slices, is `ct7_mask.nii.gz` beside it, or
another file with a place, such as `ct7_mask.nrrd`. `classes.json` at the root says what its numbers stand for:
`{"1": "left lung", "2": "right lung"}`. A `dataset.json` at the root may name scans, masks, the split and the classes
instead, as those of nnU-Net do, see `decathlon`. A mask is no scan.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from simcrop.data.layouts.classes import classes_of
from simcrop.data.layouts.decathlon import (
    classes_in,
    entries_of,
    image_of,
    is_listing,
    mask_of,
    name_of,
    read_json,
    read_listing,
)
from simcrop.data.layouts.organ_maps import ENDING as ORGANS
from simcrop.data.layouts.raw import Refusal, stem
from simcrop.data.readers.find import Survey
from simcrop.errors import SimcropError

ENDING = "_mask"
PLACED = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")  # formats that know where their voxels lie
NAMES, LISTS = "classes.json", "dataset.json"


@dataclass
class Marked:
    """What the masks of a folder say: scan -> its mask, scan -> its split where a JSON states it, names of classes."""

    mask_of: dict[Path, Path] = field(default_factory=dict)
    split_of: dict[Path, str] = field(default_factory=dict)
    classes: dict[int, str] | None = None
    refusals: list[Refusal] = field(default_factory=list)


def without_masks(root: Path, seen: Survey) -> tuple[Survey, Marked]:
    """The scans that are no masks, and whose masks the others are."""
    marked = Marked()
    if root / LISTS in seen.documents:
        listed(root, marked)
    beside(seen.scans, marked)
    if root / NAMES in seen.documents and marked.mask_of:
        named = classes_of(read_json(root / NAMES), root / NAMES)
        if marked.classes not in (None, named):
            raise SimcropError("bad-json", f"{root / NAMES}: names other classes than {LISTS} beside it")
        marked.classes = named
    masks = {*marked.mask_of.values(), *(refusal.path for refusal in marked.refusals)}
    return replace(seen, scans=[path for path in seen.scans if path not in masks]), marked


def listed(root: Path, marked: Marked) -> None:
    """What the JSON at the root names, if it is one in the Decathlon's style."""
    facts = read_listing(root / LISTS)
    if not is_listing(facts) or "labels" not in facts:
        return
    marked.classes = classes_in(root / LISTS, facts)
    for entry in entries_of(root / LISTS, facts):
        try:
            image, mask = image_of(root, entry), mask_of(root, entry)
        except SimcropError as error:
            marked.refusals.append(Refusal(name_of(entry), None, error.reason, error.sentence))
            continue
        marked.split_of[image] = entry.split
        if mask is not None:
            marked.mask_of[image] = mask


def beside(scans: list[Path], marked: Marked) -> None:
    """Files named after a scan. Of a second mask for one scan nothing is taken."""
    by_name: dict[tuple[Path, str], list[Path]] = {}
    for path in scans:
        by_name.setdefault((path.parent, stem(path.name)), []).append(path)
    for (folder, name), paths in sorted(by_name.items()):
        owners = by_name.get((folder, name[: -len(ENDING)]), []) if name.lower().endswith(ENDING) else []
        for mask in paths if owners else ():
            taken = [scan for scan in owners if scan not in marked.mask_of]
            if taken and mask.name.lower().endswith(PLACED):
                marked.mask_of |= dict.fromkeys(taken, mask)
            elif mask not in marked.mask_of.values():
                why = f"{mask}: is a second mask of one scan, or in a format without a place"
                marked.refusals.append(Refusal(mask.name, mask, "duplicate-name", why))


def near(scan: Path) -> Survey:
    """Of one scan: its mask, its organ map, and what says its classes. Only of those the disk is asked."""
    masks = [scan.with_name(f"{stem(scan.name)}{ENDING}{ending}") for ending in PLACED]
    masks.append(scan.with_name(f"{stem(scan.name)}{ORGANS}"))
    names = scan.with_name(NAMES)
    return Survey(
        [scan, *(path for path in masks if path.is_file())], documents=[names] if names.is_file() else []
    )
