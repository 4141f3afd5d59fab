"""What a model says of the data that it learned from: whose they are, and by which licence. No axes or units.

The layout of a cohort says whose it is; a phantom is written in the layouts of others and is nobody's, which its
ingest has noted.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simcrop.data.layouts.drawn import PHANTOM
from simcrop.data.store.cohort import read_facts

NOT_STATED = "not stated by the cohort"
PHANTOM_LICENCE = "made by `simcrop phantom`: drawn bodies, no patient, no licence needed"
LICENCES = {"ct-rate": "CT-RATE: CC BY-NC-SA 4.0, no redistribution"}


def data_of(cohort: Path) -> dict[str, Any]:
    """Of a cohort's folder, for the provenance of a model: nothing of where it lies."""
    facts = read_facts(cohort)
    layout, made = str(facts.get("layout") or ""), str(facts.get("made_by") or "")
    licence = PHANTOM_LICENCE if made == PHANTOM else None if made else LICENCES.get(layout)
    return {
        "layout": layout,
        **({"made_by": made} if made else {}),
        "data_licence": str(facts.get("licence") or licence or NOT_STATED),
    }


def learned_before(provenance: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The same of the model that this one started from, and of the one before that."""
    while parent := (provenance.get("start") or {}).get("parent"):
        provenance = parent.get("provenance") or {}
        yield provenance
