"""What the user states of some scans of a person, which then holds for the others: who it is, and in which split.

No axes or units. `persons` is scan id -> who its folder or its headers say it is of; `stated` is scan id -> what a
table says, of the scans of which it says anything. Of a person who is stated as several nobody can say which one the
others are.
"""

from collections import defaultdict
from collections.abc import Mapping

from simcrop.data.layouts.released import STRICTEST

TRAIN = "train"  # where nothing is stated
SEVERAL = "several patients are stated for scans of this person, and none for this one"
CAPITALS = "another patient's name differs from this one's in capitals alone"


def patients_of(persons: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    """Scan id -> patient: the one stated for it, else the one alone stated for its person, else its person."""
    names = gathered(persons, stated)
    return {
        id: stated.get(id) or (min(names[person]) if len(names[person]) == 1 else person)
        for id, person in persons.items()
    }


def splits_of(patients: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    """Scan id -> split: what is stated for it, else for its patient; of several then the one farthest from training."""
    parts = gathered(patients, stated)
    return {id: stated.get(id) or strictest(parts[patient]) for id, patient in patients.items()}


def notes_on(
    persons: Mapping[str, str], patients: Mapping[str, str], stated: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Scan id -> what may be wrong with its patient."""
    names = gathered(persons, stated)
    spelled = gathered({id: patient.casefold() for id, patient in patients.items()}, patients)
    return {
        id: (
            *((SEVERAL,) if id not in stated and len(names[person]) > 1 else ()),
            *((CAPITALS,) if len(spelled[patients[id].casefold()]) > 1 else ()),
        )
        for id, person in persons.items()
    }


def gathered(groups: Mapping[str, str], values: Mapping[str, str]) -> defaultdict[str, set[str]]:
    """Group -> the values of its scans."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for id, value in values.items():
        found[groups[id]].add(value)
    return found


def strictest(parts: set[str]) -> str:
    return next((part for part in STRICTEST if part in parts), min(parts, default=TRAIN))
