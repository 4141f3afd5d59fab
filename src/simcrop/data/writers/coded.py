"""What DICOM calls a class of a segmentation: SNOMED CT where there is a code, else a code of our own that says so.

No axes or units. The codes are `simcrop/codes/structures.yaml`.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

SNOMED, PRIVATE = "SCT", "99SIMCROP"
FILLERS = {"of", "the", "and", "in"}
LONGEST_VALUE, LONGEST_MEANING = 16, 64  # characters, by DICOM's SH and LO


@dataclass(frozen=True)
class Concept:
    """A code, by the scheme that it belongs to."""

    value: str
    meaning: str
    scheme: str = SNOMED


STRUCTURE = Concept("91723000", "Anatomical Structure")
ABNORMAL = Concept("49755003", "Morphologically Abnormal Structure")
TISSUE = Concept("85756007", "Tissue")
SIDES = {
    frozenset({"left"}): Concept("7771000", "Left"),
    frozenset({"right"}): Concept("24028007", "Right"),
    frozenset({"left", "right"}): Concept("51440002", "Right and left"),
}


@dataclass(frozen=True)
class Coded:
    """A class as a segment has it: of which `category`, what `type`, on which `side`; made of which `parts`, and in
    which `regions`.
    """

    category: Concept
    type: Concept
    side: Concept | None = None
    parts: tuple[Concept, ...] = ()
    regions: tuple[Concept, ...] = ()

    @property
    def is_private(self) -> bool:
        return self.type.scheme == PRIVATE


def coded(name: str) -> Coded:
    """Of a class such as `left lung`, `kidney_right` or `lung_upper_lobe_left`."""
    words, known = words_of(name), structures()
    side = frozenset(words & {"left", "right"})
    entry, sided = known.get(words), False
    if entry is None:
        entry = known.get(words - side)
        sided = bool(side)
    if entry is None or (sided and not entry.get("sided")):
        return Coded(TISSUE, Concept(private_value(name), name[:LONGEST_MEANING], PRIVATE))
    return Coded(
        ABNORMAL if entry.get("category") == "abnormal" else STRUCTURE,
        concept(entry),
        SIDES[side] if sided else None,
        tuple(concept(known[words_of(part)]) for part in entry.get("parts", ())),
        tuple(concept(known[words_of(region)]) for region in entry.get("regions", ())),
    )


@cache
def structures() -> dict[frozenset[str], dict[str, Any]]:
    """The entries of the YAML by the words of each of their names."""
    entries = yaml.safe_load(files("simcrop.codes").joinpath("structures.yaml").read_text("utf-8"))
    return {words_of(name): entry for entry in entries for name in entry["names"]}


def words_of(name: str) -> frozenset[str]:
    """Without order, plurals and fillers."""
    words = re.findall(r"[^\W_]+", name.lower())
    return frozenset(word.removesuffix("s") for word in words if word not in FILLERS)


def concept(entry: dict[str, Any]) -> Concept:
    return Concept(entry["code"], entry["meaning"])


def private_value(name: str) -> str:
    """The name itself where it is short and plain, else a digest of it."""
    short = name.strip().replace(" ", "-").upper()
    plain = re.fullmatch(r"[A-Z0-9_-]+", short) and len(short) <= LONGEST_VALUE
    return short if plain else hashlib.sha256(name.encode()).hexdigest()[:LONGEST_VALUE].upper()
