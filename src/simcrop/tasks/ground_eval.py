"""`simcrop ground-eval`: do sentences find what they name? Their maps against what is known of the scans.

No axes; lengths in mm.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.store.cohort import Cohort, Study, open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.ground_questions import Asked, asked_of_file, asked_of_truth
from simcrop.evaluation.ground_scores import Judged, Priors, judge, priors_of, thresholds_of
from simcrop.evaluation.ground_summary import defined, says_nothing, summary_of
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.files.whole import read_json
from simcrop.model import Model, load
from simcrop.model.folder import model_folder, read_config
from simcrop.tasks.audit import truth_beside
from simcrop.tasks.cohort_features import model_digest, untrained
from simcrop.tasks.folder import METRICS, check_folder, open_folder, reserved, unspoiled, write_metrics
from simcrop.tasks.ground_eval_asked import Answered, answer_all
from simcrop.tasks.ground_eval_page import write_page
from simcrop.tasks.ground_eval_table import GROUND_EVAL, SENTENCES, metrics_of, table_of, write_table
from simcrop.tasks.labelled import patients_of, provenance_note, refuse_shared_patients, rows_in, studies_of

ASKED = "asked"
PRIOR_SCANS = 400  # of the training split, from which the usual map of each kind is taken


@dataclass(frozen=True)
class GroundEvalOptions:
    """`split` is judged; thresholds come of `choose`, the usual maps of `train`; `sentences`: a table of one's own."""

    split: str = "valid"
    train: str = "train"
    choose: str | None = None
    truth: Path | None = None
    sentences: Path | None = None
    top_k: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Parts:
    """The three splits, and what is asked of each."""

    judged: tuple[Cohort, Asked]
    train: tuple[Cohort, Asked]
    choose: tuple[Cohort, Asked] | None
    truth: bool


def ground_eval(
    model: str,
    cohort_path: Path,
    out: Path,
    options: GroundEvalOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """`metrics.json`, whose content is returned, `sentences.csv` and `report.html`. Raises SimcropError of a model that
    reads no sentences.
    """
    options = options or GroundEvalOptions()
    folder, cohort = model_folder(Path(model)), open_cohort(cohort_path)
    parts = parts_of(cohort, options)
    note = provenance_note(read_config(folder), cohort, parts.judged[0])
    settings = {
        "model": model_digest(folder),
        "cohort": digest_of_files(cohort_path / "studies.parquet"),
        "split": options.split,
        "train": options.train,
        "choose": options.choose,
        "truth": parts.truth,
        "sentences": digest_of_files(options.sentences) if options.sentences else None,
        "top_k": options.top_k,
        "seed": options.seed,
    }
    check_folder(out, GROUND_EVAL, settings, resume, overwrite)
    network = load(folder)
    _ = network.reader  # a model that cannot is refused before it works
    with reserved(out), unspoiled(out):
        if not (open_folder(out, GROUND_EVAL, settings, resume, overwrite) and (out / METRICS).exists()):
            evaluate(network, cohort, parts, out, options, note)
        shutil.rmtree(out / ASKED, ignore_errors=True)
    return read_json(out / METRICS)


def parts_of(cohort: Cohort, options: GroundEvalOptions) -> Parts:
    """Splits that share no patient, and their sentences."""
    if options.choose == options.split:
        raise SimcropError(
            "bad-setting",
            f"--choose {options.choose}: a threshold must not be chosen on the split that is judged; name another",
        )
    studies = studies_of(cohort, options.split)
    truth = truth_beside(studies, options.truth) if options.sentences is None else None

    def asked_of(some: Cohort, seed: int) -> Asked:
        if options.sentences is not None:
            return asked_of_file(some, options.sentences, seed)
        return asked_of_truth(some, truth, seed) if truth else Asked({}, Study.source_mask)

    asked = asked_of(studies, options.seed)
    if not len(asked):
        raise SimcropError(
            "nothing-to-point-at",
            f"{cohort.path}: nothing is known of where sentences of split {options.split!r} lie; give --truth, what "
            "`simcrop phantom` wrote, or --sentences, a table of scan, sentence and value in the mask",
        )
    training = some_of(cohort.select(options.train), PRIOR_SCANS, options.seed)
    refuse_shared_patients(training, studies, f"splits {options.train!r} and {options.split!r} share")
    choose = None
    if options.choose:
        choosing = studies_of(cohort, options.choose)
        refuse_shared_patients(choosing, studies, f"splits {options.choose!r} and {options.split!r} share")
        choose = choosing, asked_of(choosing, options.seed + 1)
    return Parts(
        (studies, asked), (training, asked_of(training, options.seed + 2)), choose, truth is not None
    )


def some_of(studies: Cohort, most: int, seed: int) -> Cohort:
    """So many drawn scans of a large split."""
    if len(studies) <= most:
        return studies
    return studies.keep(sorted(np.random.default_rng((seed, 7)).permutation(len(studies))[:most].tolist()))


def evaluate(
    network: Model, cohort: Cohort, parts: Parts, out: Path, options: GroundEvalOptions, note: str
) -> None:
    """All scans asked, then all figures from numbers alone."""
    models, k = (network, untrained(network, options.seed)), options.top_k or network.top_k
    found = {
        name: answer_all(models, *part, out / ASKED, f"{GROUND_EVAL}, {name}")
        for name, part in (("judged", parts.judged), ("train", parts.train), ("choose", parts.choose))
        if part is not None
    }
    refused = {study: why for answered in found.values() for study, why in answered.refused.items()}
    if not found["judged"].scans:
        reasons = ", ".join(sorted(set(refused.values())))
        raise SimcropError(
            "nothing-to-judge", f"{cohort.path}: no scan of split {options.split!r} could be asked: {reasons}"
        )
    priors = priors_of(found["train"].scans)
    thresholds = thresholds_of(found["choose"].scans, priors) if "choose" in found else {}
    judged = [
        judge(question, answers, row, priors, thresholds, k)
        for questions, answers in found["judged"].scans
        for row, question in enumerate(questions)
    ]
    told = defined(judged)
    if not told:
        raise SimcropError(
            "nothing-to-point-at",
            f"{cohort.path}: no sentence of split {options.split!r} names what lies in the input",
        )
    every, says = summary_of("all", told, options.seed), says_nothing(found["judged"].scans, options.seed)
    facts = facts_of(cohort, found, judged, priors, thresholds, options, k, note)
    row_of = {
        study: int(row)
        for study, row in zip(parts.judged[0].index["id"], rows_in(cohort, parts.judged[0]), strict=True)
    }
    number = {name: i for i, name in enumerate(sorted(set(patients_of(parts.judged[0]))))}
    write_table(out / SENTENCES, table_of(judged, row_of, number))
    write_page(out / "report.html", every, told, says, facts, options.seed)
    write_metrics(out, metrics_of(every, told, says, facts, options.seed))


def facts_of(
    cohort: Cohort,
    found: dict[str, Answered],
    judged: list[Judged],
    priors: Priors,
    thresholds: dict[str, float],
    options: GroundEvalOptions,
    k: int,
    note: str,
) -> dict[str, Any]:
    """What was asked of whom, and what was left out."""
    everyone = dict(zip(cohort.index["id"], range(len(cohort)), strict=True))
    patients = [questions[0].patient for questions, _ in found["judged"].scans]
    return {
        "split": options.split,
        "train": options.train,
        "choose": options.choose,
        "thresholds": thresholds or None,
        "top_k": k,
        "seed": options.seed,
        "scans": len(found["judged"].scans),
        "patients": len(set(patients)),
        "split_hash": digest_of_names(patients),
        "prior": {"scans": len(found["train"].scans), "sentences": dict(sorted(priors.sentences.items()))},
        "choosing": len(found["choose"].scans) if "choose" in found else 0,
        "beyond_input": sum(of.ml > 0 and np.isnan(of.values["hit", "own"]) for of in judged),
        "not_in_mask": sum(of.question.value > 0 and of.ml == 0 for of in judged),
        "denied": sum(len(answers.denied) for _, answers in found["judged"].scans),
        "refused": [
            {"scan": everyone[study], "split": name, "reason": why}
            for name, answered in found.items()
            for study, why in sorted(answered.refused.items())
        ],
        "note": note,
    }
