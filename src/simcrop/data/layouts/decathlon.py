"""A tree that a JSON in the Decathlon's style lists as studies: scans, label volumes, the split, names of classes.

No axes or units. The root holds `dataset.json` (or one other `dataset*.json`) and what it names:

    {"labels": {"0": "background", "1": "spleen", ...},
     "training":   [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}, ...],
     "validation": [...],
     "test":       ["imagesTs/b.nii.gz", ...]}

The JSON is the split. Its paths stay below the root. A label volume holds the numbers of `labels`, or has a channel for
each of them. Raw data sets of nnU-Net (version 2) list nothing: there `labelsTr/a.nii.gz` goes with
`imagesTr/a_0000.nii.gz`, the first channel.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from simcrop.data.layouts.classes import classes_of
from simcrop.data.layouts.raw import Listing, RawStudy, Refusal, brief, stem
from simcrop.errors import SimcropError

SPLITS = {"training": "train", "validation": "valid", "test": "test", "testing": "test"}
LISTS_LIMIT = 1 << 26  # bytes
NO_MASK = "no label volume"
CHANNEL = "_0000"  # of nnU-Net: the first, and of a CT the only one


@dataclass(frozen=True)
class Entry:
    """One scan of the JSON, and its label volume if it has one; both by their names in the JSON."""

    image: str
    label: str | None
    split: str


def list_decathlon(source: Path) -> Listing:
    """Every volume that the JSON names and that is there."""
    path = find_json(source)
    facts = read_listing(path)
    if not is_listing(facts):
        raise SimcropError("bad-json", f"{path}: expected the lists training, validation or test inside")
    studies: dict[str, RawStudy] = {}
    refusals = []
    for entry in entries_of(path, facts):
        try:
            study = study_of(source, entry)
        except SimcropError as error:
            refusals.append(Refusal(name_of(entry), None, error.reason, error.sentence))
            continue
        if studies.setdefault(study.id, study) is not study:
            sentence = f"{path.name} names {study.id} twice"
            refusals.append(Refusal(study.id, study.path, "duplicate-name", sentence))
    taken = tuple(study for _, study in sorted(studies.items()))
    return Listing(taken, tuple(refusals), classes=classes_in(path, facts))


def find_json(source: Path) -> Path:
    """`dataset.json`, or the one file of that kind."""
    found = sorted(source.glob("dataset*.json"))
    named = [path for path in found if path.name == "dataset.json"]
    if len(named or found) != 1:
        what = "several dataset*.json, expected one" if found else "no dataset.json"
        raise SimcropError("missing-file", f"{source}: {what}; it says which volumes and labels there are")
    return (named or found)[0]


def read_json(path: Path) -> Any:
    """Whatever JSON the file holds."""
    try:
        content = path.read_bytes()
        return json.loads(content) if len(content) <= LISTS_LIMIT else None
    except OSError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SimcropError("bad-json", f"{path}: not a sound JSON text") from error


def read_listing(path: Path) -> Any:
    """The same; of a raw data set of nnU-Net with the lists that its names make up, and without classes that are unions
    of others.
    """
    facts = read_json(path)
    if is_listing(facts) or not isinstance(facts, dict) or not isinstance(facts.get("file_ending"), str):
        return facts
    ending, labels = facts["file_ending"], facts.get("labels")
    pairs = {split: paired(path.parent, part, ending) for split, part in (("training", "Tr"), ("test", "Ts"))}
    named = {k: v for k, v in labels.items() if isinstance(v, int)} if isinstance(labels, dict) else labels
    return facts | pairs | {"labels": named}


def paired(root: Path, part: str, ending: str) -> list[dict[str, str]]:
    """The scans of `imagesTr` or `imagesTs`, each with its label volume where it has one."""
    folder = root / f"images{part}"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = []
    for name in names:
        if name.endswith(CHANNEL + ending):
            label = f"labels{part}/{name.removesuffix(CHANNEL + ending)}{ending}"
            there = {"label": label} if (root / label).is_file() else {}
            found.append({"image": f"{folder.name}/{name}", **there})
    return found


def is_listing(facts: object) -> bool:
    """Whether it lists scans by splits."""
    return isinstance(facts, dict) and bool(SPLITS.keys() & facts.keys())


def entries_of(path: Path, facts: dict[str, Any]) -> Iterator[Entry]:
    """All that the lists name; an entry is a pair or, without a label, a name."""
    for key, split in SPLITS.items():
        entries = facts.get(key, [])
        if not isinstance(entries, list):
            raise SimcropError("bad-json", f"{path}: {key} is no list of volumes")
        for entry in entries:
            paired = isinstance(entry, dict)
            image, label = (entry.get("image"), entry.get("label")) if paired else (entry, None)
            if not isinstance(image, str) or not isinstance(label, str | None):
                raise SimcropError("bad-json", f"{path}: an entry of {key} names no image")
            yield Entry(image, label, split)


def classes_in(path: Path, facts: dict[str, Any]) -> dict[int, str] | None:
    """What the JSON calls its classes, if it says it."""
    return classes_of(facts["labels"], path) if facts.get("labels") else None


def name_of(entry: Entry) -> str:
    return brief(PurePosixPath(entry.image).name)


def study_of(source: Path, entry: Entry) -> RawStudy:
    path = image_of(source, entry)
    mask, notes = mask_of(source, entry), ("no report",)
    name = stem(path.name)
    return RawStudy(
        name, name, name, entry.split, path, notes=notes if mask else (*notes, NO_MASK), mask=mask
    )


def image_of(source: Path, entry: Entry) -> Path:
    path = below(source, entry.image)
    if not path.is_file():
        raise SimcropError("no-volume", f"the JSON names {brief(entry.image)}, but there is no such file")
    return path


def mask_of(source: Path, entry: Entry) -> Path | None:
    """The label volume, if one is named and is there."""
    mask = below(source, entry.label) if entry.label else None
    return mask if mask is not None and mask.is_file() else None


def below(source: Path, name: str) -> Path:
    """A path of the JSON, which must not lead out of the data set, not even through a link."""
    path = source / name
    if ".." in Path(name).parts or not path.resolve().is_relative_to(source.resolve()):
        raise SimcropError("unsafe-path", f"the JSON names {brief(name)}, outside its own folder")
    return path
