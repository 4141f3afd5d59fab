"""The labelled studies of a cohort's split, and the refusals that keep an evaluation honest.

Axes: s scan, l label. Patients are counted in messages, never named.
"""

from typing import Any

import numpy as np
import polars as pl

from simcrop.data.store.cohort import Cohort
from simcrop.data.store.schema import LABEL
from simcrop.errors import SimcropError
from simcrop.tasks.data_source import learned_before

SHOWN = 3  # labels named in a message


def patients_of(studies: Cohort) -> np.ndarray:
    return studies.index["patient"].to_numpy()


def rows_in(cohort: Cohort, studies: Cohort) -> np.ndarray:
    """Where the studies stand in the whole cohort."""
    place = {study: row for row, study in enumerate(cohort.index["id"])}
    return np.array([place[study] for study in studies.index["id"]])


def first_of_each(studies: Cohort, before: np.ndarray | None = None) -> np.ndarray:
    """Rows of the first volume of every examination; with `before` `(s,)` of that with the smallest number there, of
    several the first.
    """
    ids, patients, scans = (studies.index[column].to_list() for column in ("id", "patient", "scan"))
    first: dict[tuple[str, str], int] = {}
    rank = np.zeros(len(ids)) if before is None else before
    for row in sorted(range(len(ids)), key=lambda row: (rank[row], len(ids[row]), ids[row])):
        first.setdefault((patients[row], scans[row]), row)
    return np.array(sorted(first.values()))


def labelled(cohort: Cohort, split: str) -> Cohort:
    """The studies of a split, in a cohort that has labels."""
    if not cohort.labels:
        raise SimcropError(
            "no-labels", f"{cohort.path}: its studies have no labels, and a probe learns labels"
        )
    return studies_of(cohort, split)


def labelled_all(cohort: Cohort) -> Cohort:
    """Every study, whatever its split; refused without labels."""
    if not cohort.labels:
        raise SimcropError("no-labels", f"{cohort.path}: its studies have no labels to judge by")
    return cohort


def studies_of(cohort: Cohort, split: str) -> Cohort:
    """Those of a split, which must have some."""
    studies = cohort.select(split)
    if len(studies) == 0:
        found = sorted(set(cohort.index["split"].to_list()))
        how = (
            "; a column split in the table of reports, or ingest --split own, makes others"
            if len(found) == 1
            else ""
        )
        raise SimcropError(
            "no-studies",
            f"{cohort.path}: no study in split {split!r}; it has {', '.join(found) or 'none'}{how}",
        )
    return studies


def label_matrix(studies: Cohort) -> np.ndarray:
    """Float `(s, l)`: 1, 0, or NaN where a label is not known."""
    columns = [f"{LABEL}{name}" for name in studies.labels]
    try:
        table = studies.index.select(pl.col(name).cast(pl.Float64) for name in columns)
    except pl.exceptions.PolarsError as error:
        raise SimcropError("bad-labels", f"{studies.path}: a column of labels holds no numbers") from error
    labels = table.fill_null(float("nan")).to_numpy()
    odd = ~np.isnan(labels) & (labels != 0) & (labels != 1)
    if odd.any():
        name = studies.labels[int(np.argmax(odd.any(0)))]
        raise SimcropError(
            "bad-labels", f"{studies.path}: label {name!r} has values beside 1, 0 and nothing (not known)"
        )
    return labels


def varying(labels: np.ndarray) -> np.ndarray:
    """Bool `(l,)`: labels of `(s, l)` that some scans have and others have not."""
    return (labels == 1).any(0) & (labels == 0).any(0)


def refuse_shared_patients(seen: Cohort, testing: Cohort, what: str) -> None:
    """A patient who was learned from must not be judged by."""
    if shared := set(seen.index["patient"]) & set(testing.index["patient"]):
        raise SimcropError(
            "patients-overlap", f"{what} {len(shared)} patients; a patient belongs to one of them only"
        )


def refuse_unvarying(training: np.ndarray, testing: np.ndarray, train: str, test: str) -> None:
    """Said before the features are computed: a label must be there and not there on both sides to be judged."""
    if not (varying(training) & varying(testing)).any():
        raise SimcropError(
            "nothing-to-judge",
            f"no label can be judged: none has both scans with it and scans without it in {train!r} and in {test!r}",
        )


def refuse_poor_share(
    labels: np.ndarray, drawn: np.ndarray, patients: np.ndarray, names: list[str], share: float, seed: int
) -> None:
    """A share that lacks a label which the whole split has would be judged on fewer labels than the others."""
    lost = varying(labels) & ~varying(labels[drawn])
    if lost.any():
        left, every = len(set(patients[drawn])), len(set(patients))
        gone = [name for name, is_lost in zip(names, lost, strict=True) if is_lost]
        named = ", ".join(gone[:SHOWN]) + (
            f" and {len(gone) - SHOWN} more labels" if len(gone) > SHOWN else ""
        )
        raise SimcropError(
            "share-too-small",
            f"--share {share:g} leaves {left} of {every} patients to learn from (seed {seed}), among whom nobody or "
            f"everybody has {named}; a larger share holds both",
        )


def provenance_note(config: dict[str, Any], cohort: Cohort, testing: Cohort) -> str:
    """Whether the model has seen the test patients: refused when it has, said when it cannot be known."""
    refuse_seen_by_parents(config, cohort, testing)
    if config.get("provenance", {}).get("cohort") != cohort.digest:
        return "the model comes from another cohort; whether it has seen these test patients is not known"
    split = config["architecture"]["data"]["split"]
    seen = cohort.select(split) if split else cohort
    refuse_shared_patients(seen, testing, "the training of this model and the test split share")
    return f"the model comes from split {split!r} of this cohort, which has none of the test patients"


def parents_note(config: dict[str, Any], cohort: Cohort, testing: Cohort) -> str:
    """The same of the models that a model started from alone: "" where there is none."""
    refuse_seen_by_parents(config, cohort, testing)
    parents = list(learned_before(config.get("provenance") or {}))
    if not parents:
        return ""
    digest = cohort.digest
    if any(parent.get("cohort") != digest for parent in parents):
        return "It started from a model of another cohort; whether that one has seen these patients is not known."
    return "The model that it started from has seen none of these patients."


def refuse_seen_by_parents(config: dict[str, Any], cohort: Cohort, testing: Cohort) -> None:
    """A model that started from another (`init.model`) has seen what that one has seen."""
    digest, provenance = cohort.digest, config.get("provenance") or {}
    while parent := (provenance.get("start") or {}).get("parent"):
        provenance, split = parent["provenance"] or {}, parent["split"]
        if provenance.get("cohort") == digest:
            seen = cohort.select(split) if split else cohort
            what = "the training of the model that this one started from and the test split share"
            refuse_shared_patients(seen, testing, what)
