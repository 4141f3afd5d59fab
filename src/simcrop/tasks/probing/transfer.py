"""`simcrop transfer`: a probe of one data set judged on another, label by label (Fig. 2 of the paper).

Axes: k repetition (seed), s scan, l label.
"""

from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.heads.label_map import LabelMap, map_between
from simcrop.evaluation.heads.tokens import Features, width_of
from simcrop.evaluation.judgement import Judgement, judge
from simcrop.figures.intervals import draw_intervals
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.tasks.features.source import FeatureSource, source_of
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.intervals import bar_of, without_nan
from simcrop.tasks.labelled import label_matrix, labelled, labelled_all, patients_of, rows_in, varying
from simcrop.tasks.probing.figures import PREDICTIONS, block, write_predictions
from simcrop.tasks.probing.fits import scores_of
from simcrop.tasks.probing.heads import HEADS, Heads, load_heads
from simcrop.tasks.probing.page import (
    CAPTION,
    TABLES,
    WORDS,
    absent_words,
    label_row,
    share_words,
    undecided_words,
)

BESIDE = (
    "A class that several labels answer for has no threshold; these labels, each taken alone, stand last and are not "
    "part of the mean."
)


def transfer(
    probe: Path,
    cohort_path: Path,
    out: Path,
    model: str | None = None,
    label_map: str | None = None,
    split: str | None = None,
    share: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
    unrelated: bool = False,
) -> Judgement:
    """Judge the heads of `probe` on the labelled studies of a cohort, all of them or one `split`.

    `model`: where the encoder, or its features of this cohort, lie; where the probe found them unless said.
    `unrelated`: names that patients of both cohorts bear are those of different people, such as numbers from 1 on.
    """
    heads, cohort = load_heads(probe, share), open_cohort(cohort_path)
    source = source_of(model or heads.source, heads.pool)
    refuse_other_encoder(heads, source, probe)
    testing = labelled(cohort, split) if split else labelled_all(cohort)
    chosen = map_between(heads.labels, testing.labels, label_map)
    names = list(chosen.labels)
    truth = label_matrix(testing)[:, [testing.labels.index(name) for name in names]]
    if not varying(truth).any():
        raise SimcropError(
            "nothing-to-judge", "no label can be judged: none has both scans with it and without it"
        )
    digest = cohort.digest
    note = f"{source.note(cohort, testing)}; {fitted_note(heads, testing, digest, unrelated)}"
    settings = {
        "probe": digest_of_files(probe / HEADS),
        "model": source.digest,
        "cohort": digest,
        "split": split,
        "share": heads.share,
        "seed": seed,
        "label_map": chosen.model_dump(mode="json"),
        "unrelated": unrelated,
    }
    with staged(out, "transfer", settings, overwrite) as stage:
        features = features_of(source, cohort, heads, rows_in(cohort, testing))
        refuse_other_width(heads, features, probe)
        own = np.stack([scores_of(each, features) for each in heads.probes])
        thresholds = np.stack([each.thresholds for each in heads.probes])
        scores, patients = chosen.apply(own, heads.labels), patients_of(testing)
        judged = judge(
            scores, truth, chosen_thresholds(chosen, thresholds, heads.labels), patients, names, seed
        )
        beside = judge_beside(chosen, own, thresholds, truth, patients, heads.labels, seed)
        write_metrics(stage, figures(judged, beside, chosen, heads, patients, note))
        seeds = range(len(heads.probes))
        write_predictions(stage / PREDICTIONS, testing, {heads.share: scores}, seeds, truth, names)
        write_page(stage, judged, beside, chosen, heads, len(truth), note)
    return judged


def refuse_other_encoder(heads: Heads, source: FeatureSource, probe: Path) -> None:
    """A head reads the features of the encoder that it was fitted on, and of no other. Features made elsewhere carry
    no name of their encoder, so of them only the width is known.
    """
    if source.encoder is not None and source.encoder != heads.model:
        raise SimcropError(
            "other-model",
            f"the heads of {probe} were fitted on another model; --model says where that one lies",
        )


def fitted_note(heads: Heads, testing: Cohort, cohort: str, unrelated: bool) -> str:
    """Whether the heads learned from patients whom they are to be judged by: refused when they did, said when it cannot
    be known. Patients are compared by name, since a cohort may have been ingested anew; by the digest `cohort` it is
    known whether it was.
    """
    seen = heads.seen(patients_of(testing))
    if seen is None:
        return "whether the heads were fitted on these patients is not known: their file is of an earlier version"
    if seen and unrelated and not heads.fitted_on(cohort):
        said = "of the patients judged here have the name of one whom the heads were fitted on: said to be others"
        return f"{seen} {said}"
    if seen:
        other = "" if heads.fitted_on(cohort) else ", --unrelated says that they are other people"
        raise SimcropError(
            "patients-overlap",
            f"the heads were fitted on {seen} of the patients to be judged, by their names; a patient belongs to one "
            f"side only: --split names a split without them{other}",
        )
    return "no patient judged here has the name of one whom the heads were fitted on"


def features_of(source: FeatureSource, cohort: Cohort, heads: Heads, rows: np.ndarray) -> Features:
    """Of these scans what the heads read."""
    if heads.head != "attention":
        return source.rows(cohort.keep(rows.tolist()), heads.pool)
    tokens = source.tokens(cohort, rows)
    assert tokens is not None
    return tokens[rows]


def refuse_other_width(heads: Heads, features: Features, probe: Path) -> None:
    """Features of another encoder, as a rule."""
    wanted, found = heads.probes[0].width, width_of(features)
    if found != wanted:
        raise SimcropError("other-model", f"the heads of {probe} read {wanted} features, these are {found}")


def chosen_thresholds(chosen: LabelMap, thresholds: np.ndarray, names: list[str]) -> np.ndarray:
    """`(k, l)`: of a class that several labels answer for none, since the larger of two probabilities has its own
    scale.
    """
    alone = [names.index(of[0]) if len(of) == 1 else None for of in chosen.labels.values()]
    missing = np.full(len(thresholds), np.nan)
    return np.stack([missing if place is None else thresholds[:, place] for place in alone], axis=1)


def judge_beside(
    chosen: LabelMap,
    own: np.ndarray,
    thresholds: np.ndarray,
    truth: np.ndarray,
    patients: np.ndarray,
    names: list[str],
    seed: int,
) -> Judgement | None:
    """Labels that are judged alone, too; None where the map has none."""
    if not chosen.beside:
        return None
    rows, classes = [names.index(name) for name in chosen.beside], list(chosen.labels)
    columns = truth[:, [classes.index(of) for of in chosen.beside.values()]]
    said = [f"{name}, as {of}" for name, of in chosen.beside.items()]
    return judge(own[:, :, rows], columns, thresholds[:, rows], patients, said, seed)


def figures(
    judged: Judgement,
    beside: Judgement | None,
    chosen: LabelMap,
    heads: Heads,
    patients: np.ndarray,
    note: str,
) -> dict[str, Any]:
    """`metrics.json`."""
    return without_nan(
        {
            **block(judged),
            "beside": block(beside)["labels"] if beside else {},
            "label_map": chosen.model_dump(mode="json"),
            "share": heads.share,
            "seeds": len(heads.probes),
            "scans": {"test": len(patients)},
            "patients": {"test": len(set(patients))},
            "split_hash": {"test": digest_of_names(patients)},
            "note": note,
        }
    )


def write_page(
    stage: Path,
    judged: Judgement,
    beside: Judgement | None,
    chosen: LabelMap,
    heads: Heads,
    scans: int,
    note: str,
) -> None:
    """The chart of Fig. 2, and the table."""
    names = f" from {chosen.source} to {chosen.target}" if chosen.source else ""
    page = Page(
        "Transfer",
        f"Heads fitted on {share_words(heads.share)}{names}, asked about {scans} scans of another cohort; nothing was "
        f"chosen by these. {note[0].upper()}{note[1:]}.",
    )
    page.figures(
        {
            "macro AUROC": judged.auroc.value,
            "95 % interval": judged.auroc.limits,
            "labels judged": len(judged.labels) - len(judged.absent),
            "labels absent": len(judged.absent),
        }
    )
    words = absent_words(judged), undecided_words(judged), CAPTION, BESIDE if beside else ""
    page.section("Label by label", " ".join(filter(None, words)))
    shown = [*judged.labels, *(beside.labels if beside else ())]
    rows = {label.name: [bar_of(label.figures["auroc"])] for label in shown}
    page.drawing(
        draw_intervals(rows, ["AUROC"]),
        "The broken line is chance; whiskers are 95 % intervals over patients.",
    )
    for measures in TABLES:
        page.table(
            [label_row(label, measures) for label in shown if not np.isnan(label.figures["auroc"].value)],
            ["label", "with", "without", *(WORDS[measure] for measure in measures)],
        )
    page.section("Which label means which", "Fixed beforehand; nothing here was chosen by a score.")
    page.table(
        [[of, ", ".join(names), chosen.reasons.get(of, "")] for of, names in chosen.labels.items()],
        ["class judged", "labels of the probe", "why"],
        "Of several labels the largest probability counts; of a label that no head was learned for, none.",
    )
    if chosen.dropped:
        page.table([[name, why] for name, why in chosen.dropped.items()], ["label left out", "why"])
    page.write(stage / "report.html")
