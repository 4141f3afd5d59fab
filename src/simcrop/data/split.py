"""Our own splits: by patient, so that nobody is on two sides; the same seed always gives the same split.

No axes or units; shares are in [0, 1] and add up to 1.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from simcrop.errors import SimcropError

SEED = 0
SHARES: Mapping[str, float] = MappingProxyType({"train": 0.7, "valid": 0.1, "test": 0.2})
MEANT = {  # as people and other tools write them
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("valid", "validation", "validate", "val", "dev", "tuning"), "valid"),
    **dict.fromkeys(("test", "testing", "ts", "held-out", "holdout"), "test"),
}


@dataclass(frozen=True)
class Split:
    """Patient -> part, and what it takes to draw it again. `kind` says whose split it is, for `cohort.json`."""

    parts: dict[str, str]
    seed: int
    shares: dict[str, float]
    kind: str = "by patient"

    @property
    def hash(self) -> str:
        """Of every patient and part: two cohorts with one hash were split alike."""
        lines = "".join(f"{patient}\t{part}\n" for patient, part in sorted(self.parts.items()))
        return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def split_by_patient(
    patients: Iterable[str], seed: int = SEED, shares: Mapping[str, float] = SHARES
) -> Split:
    """Each patient drawn alone by a hash of seed and name: more patients never move those already there."""
    if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise SimcropError("bad-setting", f"the shares of a split must add up to 1, got {dict(shares)}")
    parts = {patient: part_of(patient, seed, shares) for patient in sorted(set(patients))}
    return Split(parts, seed, dict(shares))


def part_of(patient: str, seed: int, shares: Mapping[str, float]) -> str:
    digest = hashlib.sha256(f"{seed}\t{patient}".encode(errors="surrogateescape")).digest()
    place, part = int.from_bytes(digest[:8], "big") / 2**64, ""
    for part, share in shares.items():
        place -= share
        if place < 0 and share > 0:
            return part
    return part


def part_named(cell: str) -> str:
    """What a table calls a part, by our name for it, whatever its capitals; any other name stays as it is."""
    return MEANT.get(cell.strip().lower(), cell.strip())


def patients_on_several_sides(places: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Of pairs of patient and part: the patients in more than one part, by whom a test would be spoiled."""
    first: dict[str, str] = {}
    return frozenset(patient for patient, part in places if first.setdefault(patient, part) != part)


def some_patients(patients: Sequence[str] | np.ndarray, share: float, seed: int) -> np.ndarray:
    """Bool per scan: those of a seeded `share` of the patients, one at least; a larger share holds the smaller one."""
    if not 0 < share <= 1:
        raise SimcropError("bad-setting", f"--share wants more than 0 and at most 1, got {share:g}")
    names, number = np.unique(np.asarray(patients), return_inverse=True)
    order = np.random.default_rng((seed, 2)).permutation(len(names))
    return np.isin(number, order[: max(1, round(share * len(names)))])
