"""`simcrop audit`: does the text matter? The sentences of reports are made wrong, and scores should fall."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from simcrop.data.store.cohort import Cohort, open_cohort, read_facts
from simcrop.errors import SimcropError
from simcrop.evaluation.truth import Truth
from simcrop.evaluation.wording.audit import (
    PointingShift,
    Shift,
    Shifts,
    patient_mean,
    pointing_of,
    shifts_of,
)
from simcrop.evaluation.wording.perturb import PERTURBATIONS
from simcrop.evaluation.wording.says_nothing import told_apart
from simcrop.files.digest import digest_of_names
from simcrop.files.tables import write_parquet
from simcrop.metrics.intervals import Interval
from simcrop.model import load
from simcrop.model.folder import model_folder, read_config
from simcrop.phantom.truth import read_truth
from simcrop.tasks.auditing.asked import AskedScan, answers_of, draw_asked
from simcrop.tasks.auditing.page import write_page
from simcrop.tasks.auditing.tables import OTHER_SCAN, answers_in, left_out, presence_table, sentence_table
from simcrop.tasks.features.cohort_features import model_digest
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.intervals import bounds, without_nan
from simcrop.tasks.labelled import patients_of, provenance_note, rows_in, studies_of
from simcrop.tasks.scored_patches import scored_patches

SENTENCES, PRESENCE = "sentences.parquet", "presence.parquet"


@dataclass(frozen=True, eq=False)
class Audit:
    """By change: how scores fall, how many sentences could be changed, and, where it is known what lies where, where
    they point. `says_nothing`: AUROC within scans by what is not there: `denied`, `lacking`, `all` of it;
    each once more `_beyond` what the same sentences score in another scan.
    """

    shifts: dict[str, Shifts]
    counts: dict[str, dict[str, int]]
    pointing: dict[str, PointingShift]
    says_nothing: dict[str, Interval]
    presence: dict[str, int]


def audit(
    model: str,
    cohort_path: Path,
    out: Path,
    split: str = "valid",
    truth_path: Path | None = None,
    top_k: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Audit:
    """`report.html`, `metrics.json`, and tables of numbers. Raises SimcropError of a model that reads no sentences."""
    folder, cohort = model_folder(Path(model)), open_cohort(cohort_path)
    studies = studies_of(cohort, split)
    note = provenance_note(read_config(folder), cohort, studies)
    truth = truth_beside(studies, truth_path)
    asked = draw_asked(studies, seed)
    if not any(scan.there for scan in asked):
        raise SimcropError(
            "no-sentences",
            f"{cohort_path}: no report of split {split!r} has an English sentence with a finding",
        )
    settings = {
        "model": model_digest(folder),
        "cohort": cohort.digest,
        "split": split,
        "truth": truth is not None,
        "top_k": top_k,
        "seed": seed,
    }
    with staged(out, "audit", settings, overwrite) as stage:
        network = load(folder)
        k = scored_patches(network, top_k, network.scored)
        answered = answers_of(network, settings["model"], studies, asked, k)
        places = rows_in(cohort, studies)
        table = sentence_table(studies, places, asked, answered, network, truth)
        presence = presence_table(studies, places, asked, answered)
        found = audit_of(table, presence, asked, seed)
        write_parquet(stage / SENTENCES, nulls_for_nan(table))
        write_parquet(stage / PRESENCE, nulls_for_nan(presence))
        write_metrics(stage, figures(found, settings, studies, asked, k, note))
        write_page(
            *(stage / "report.html", found.shifts, found.counts, found.pointing, found.says_nothing),
            *(found.presence, k, note),
        )
    return found


def truth_beside(studies: Cohort, path: Path | None) -> Truth | None:
    """What a phantom cohort knows of its scans: in `path`, or where it was ingested from; None where nothing is."""
    source = Path(str(read_facts(studies.path).get("source") or "."))
    places = [path] if path is not None else [studies.path, source]
    there = [place for place in places if path is not None or (place / "truth/sentences.jsonl").is_file()]
    if not there:
        return None
    truth = read_truth(there[0])
    if not any(truth.of(study) for study in studies.index["id"]):
        if path is None:
            return None
        raise SimcropError("bad-truth", f"{path}: its truth is of none of these scans")
    return truth


def audit_of(table: pl.DataFrame, presence: pl.DataFrame, asked: list[AskedScan], seed: int) -> Audit:
    """All figures, from numbers alone."""
    answers = {name: answers_in(table, name) for name in (*PERTURBATIONS, OTHER_SCAN)}
    pointing = {
        name: pointing_of(answers[name], seed, of.moved)
        for name, of in PERTURBATIONS.items()
        if of.claim == "asserts"
    }
    return Audit(
        {name: shifts_of(of, seed) for name, of in answers.items()},
        left_out(asked),
        {name: of for name, of in pointing.items() if of is not None},
        says_nothing_of(presence, seed),
        {str(what): n for what, n in presence["what"].value_counts().iter_rows()},
    )


def says_nothing_of(presence: pl.DataFrame, seed: int) -> dict[str, Interval]:
    """AUROC within scans of what is there against what is denied, what is lacking, and both; `beyond` of each: of what
    a sentence scores above its own score in another patient's scan.
    """
    beyond = presence.with_columns(pl.col("score") - pl.col("score_elsewhere"))
    found = told_by(presence, seed)
    return found | {f"{name}_beyond": of for name, of in told_by(beyond, seed).items()}


def told_by(presence: pl.DataFrame, seed: int) -> dict[str, Interval]:
    """By the column `score`."""
    there = presence.filter(pl.col("what") == "there")
    scores, scans = there["score"].to_numpy(), there["scan"].to_numpy()
    against = {"all": ("denied", "lacking"), "denied": ("denied",), "lacking": ("lacking",)}
    found = {}
    for name, whats in against.items():
        others = presence.filter(pl.col("what").is_in(whats))
        won = told_apart(scores, others["score"].to_numpy(), scans, others["scan"].to_numpy())
        found[name] = patient_mean(won, there["patient"].to_numpy(), seed)
    return found


def figures(
    found: Audit, settings: dict[str, Any], studies: Cohort, asked: list[AskedScan], k: int, note: str
) -> dict[str, Any]:
    """`metrics.json`."""
    patients = patients_of(studies)
    claims = sum(len(scan.changed) for scan in asked)
    return without_nan(
        {
            "shifts": {
                name: found.counts[name]
                | numbers(of.all)
                | {"kinds": {kind: numbers(each) for kind, each in of.kinds.items()}}
                for name, of in found.shifts.items()
            },
            "pointing": {name: pointed(of) for name, of in found.pointing.items()} or None,
            "says_nothing": {
                key: value
                for name, of in found.says_nothing.items()
                for key, value in bounds(f"auroc_{name}", of).items()
            }
            | found.presence,
            "sentences": sum(len(scan.report) for scan in asked),
            "sentences_without_claim": sum(len(scan.report) for scan in asked) - claims,
            "top_k": k,
            **{name: settings[name] for name in ("split", "truth", "seed")},
            "scans": len(patients),
            "patients": len(set(patients)),
            "split_hash": digest_of_names(patients),
            "note": note,
        }
    )


def numbers(of: Shift) -> dict[str, Any]:
    means = {name: value for name, value in vars(of).items() if isinstance(value, Interval)}
    parts = [bounds(name, value) for name, value in means.items()]
    return {"applied": of.sentences, **{key: value for part in parts for key, value in part.items()}}


def pointed(of: PointingShift) -> dict[str, Any]:
    """One change; `there` and `nowhere` of those that move a finding."""
    plain = {
        "sentences": of.sentences,
        **bounds("hit", of.true),
        **bounds("hit_changed", of.changed),
        **bounds("lost", of.lost),
    }
    if of.moved is None:
        return plain
    there = {
        "sentences": of.moved.there,
        **bounds("hit_there", of.moved.true_there),
        **bounds("hit_there_changed", of.moved.changed_there),
    }
    return plain | {"there": there, "nowhere": numbers(of.moved.nowhere)}


def nulls_for_nan(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.selectors.float().fill_nan(None))
