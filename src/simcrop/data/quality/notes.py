"""What the ledger notes of scans that were taken: what a reader guessed or had to settle, and with whom.

No axes or units. A note is cut at its first colon, behind which headers are quoted.
"""

import json
from dataclasses import dataclass, replace

import polars as pl

from simcrop.data.guess import is_guess, shown
from simcrop.data.quality.facts import without_places
from simcrop.data.store.cohort import Cohort

SHOWN_ELSEWHERE = ("no report", "same voxels as")


@dataclass(frozen=True)
class Noted:
    """One note, and the studies of which it is true."""

    sentence: str
    ids: tuple[str, ...]

    @property
    def guessed(self) -> bool:
        return is_guess(self.sentence)


def noted(cohort: Cohort) -> list[Noted]:
    """Guesses first, then whatever most studies share."""
    decided = dict(cohort.index.select("id", "hu_decision").iter_rows())
    found: dict[str, list[str]] = {}
    for id, path, status, sentence in cohort.ledger.select("id", "path", "status", "sentence").iter_rows():
        if status != "taken":
            continue
        decision = json.loads(decided.get(id) or "null")
        rest = sentence.removeprefix(decision["sentence"] if decision else "")
        for note in dict.fromkeys(without_places(shown(part), path) for part in rest.split(";")):
            if note and not note.startswith(SHOWN_ELSEWHERE):
                found.setdefault(note, []).append(id)
    notes = [Noted(note, tuple(ids)) for note, ids in found.items()]
    return sorted(notes, key=lambda note: (not note.guessed, -len(note.ids), note.sentence))


def guesses(cohort: Cohort, row: int) -> tuple[str, ...]:
    """What a reader guessed of the study in this row of the index."""
    one = cohort.keep([row])
    own = cohort.ledger.filter(pl.col("id") == one.index["id"][0])
    return tuple(note.sentence for note in noted(replace(one, ledger=own)) if note.guessed)
