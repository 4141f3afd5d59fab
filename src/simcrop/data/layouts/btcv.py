"""BTCV's tree as studies: NIfTI volumes with 13 organs as masks, listed by a JSON in the Decathlon's style.

No axes or units. The root holds `dataset.json` (or one other `dataset*.json`) and what it names:

    {"labels": {"0": "background", "1": "spleen", ...},
     "training":   [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}, ...],
     "validation": [...],
     "test":       ["imagesTs/b.nii.gz", ...]}

The JSON is the split. Its paths stay below the root.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from simcrop.data.layouts.classes import classes_of
from simcrop.data.layouts.raw import Listing, RawStudy, Refusal, brief, stem
from simcrop.errors import SimcropError

SPLITS = {"training": "train", "validation": "valid", "test": "test", "testing": "test"}
LISTS_LIMIT = 1 << 26  # bytes


def list_btcv(source: Path) -> Listing:
    """Every volume that the JSON names and that is there."""
    path = find_json(source)
    facts = read_json(path)
    studies: dict[str, RawStudy] = {}
    refusals = []
    for key, split in SPLITS.items():
        entries = facts.get(key, [])
        if not isinstance(entries, list):
            raise SimcropError("bad-json", f"{path}: {key} is no list of volumes")
        for entry in entries:
            image, label = names_of(path, key, entry)
            try:
                study = study_of(source, image, label, split)
            except SimcropError as error:
                refusals.append(Refusal(brief(PurePosixPath(image).name), None, error.reason, error.sentence))
                continue
            if studies.setdefault(study.id, study) is not study:
                sentence = f"{path.name} names {study.id} twice"
                refusals.append(Refusal(study.id, study.path, "duplicate-name", sentence))
    taken = tuple(study for _, study in sorted(studies.items()))
    classes = classes_of(facts["labels"], path) if "labels" in facts else None
    return Listing(taken, tuple(refusals), classes=classes)


def find_json(source: Path) -> Path:
    """`dataset.json`, or the one file of that kind."""
    found = sorted(source.glob("dataset*.json"))
    named = [path for path in found if path.name == "dataset.json"]
    if len(named or found) != 1:
        what = "several dataset*.json, expected one" if found else "no dataset.json"
        raise SimcropError("missing-file", f"{source}: {what}; it says which volumes and labels there are")
    return (named or found)[0]


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        facts = json.loads(content) if len(content) <= LISTS_LIMIT else None
    except OSError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SimcropError("bad-json", f"{path}: not a sound JSON text") from error
    if not isinstance(facts, dict) or not SPLITS.keys() & facts.keys():
        raise SimcropError("bad-json", f"{path}: expected the lists training, validation or test inside")
    return facts


def names_of(path: Path, key: str, entry: object) -> tuple[str, str | None]:
    """Image and label of one entry, which is a pair or, without a label, a name."""
    image, label = (entry.get("image"), entry.get("label")) if isinstance(entry, dict) else (entry, None)
    if not isinstance(image, str) or not isinstance(label, str | None):
        raise SimcropError("bad-json", f"{path}: an entry of {key} names no image")
    return image, label


def study_of(source: Path, image: str, label: str | None, split: str) -> RawStudy:
    path = below(source, image)
    if not path.is_file():
        raise SimcropError("no-volume", f"the JSON names {brief(image)}, but there is no such file")
    mask, notes = (below(source, label) if label else None), ("no report",)
    if mask is None or not mask.is_file():
        mask, notes = None, (*notes, "no label volume")
    name = stem(path.name)
    return RawStudy(name, name, name, split, path, notes=notes, mask=mask)


def below(source: Path, name: str) -> Path:
    """A path of the JSON, which must not lead out of the data set, not even through a link."""
    path = source / name
    if ".." in Path(name).parts or not path.resolve().is_relative_to(source.resolve()):
        raise SimcropError("unsafe-path", f"the JSON names {brief(name)}, outside its own folder")
    return path
