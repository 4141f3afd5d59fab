"""`simcrop ground-eval`: do sentences find what they name? Their maps against what is known of the scans.

No axes; lengths in mm.
"""

import shutil
from pathlib import Path
from typing import Any

from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.grounding.scores import Judged, Priors, judge, priors_of, thresholds_of
from simcrop.evaluation.grounding.summary import defined, says_nothing, summary_of
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.files.whole import read_json
from simcrop.model import Model, load
from simcrop.model.folder import model_folder, read_config
from simcrop.tasks.features.cohort_features import model_digest, untrained
from simcrop.tasks.folder import METRICS, check_folder, open_folder, unpinned_before, write_metrics
from simcrop.tasks.grounding.eval_asked import Answered, answer_all
from simcrop.tasks.grounding.eval_page import write_page
from simcrop.tasks.grounding.eval_parts import GroundEvalOptions, Parts, parts_of
from simcrop.tasks.grounding.eval_table import GROUND_EVAL, SENTENCES, metrics_of, table_of, write_table
from simcrop.tasks.labelled import patients_of, provenance_note
from simcrop.tasks.replaced import Replaced, replacing
from simcrop.tasks.scored_patches import scored_patches

ASKED = "asked"


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
    note = provenance_note(read_config(folder), cohort, parts.judged.studies)
    masks = parts.masks
    settings = {
        "model": model_digest(folder),
        "cohort": cohort.digest,
        "split": options.split,
        "train": options.train,
        "choose": options.choose,
        "truth": parts.truth,
        "questions": parts.digest,
        "sentences": digest_of_files(options.sentences) if options.sentences else None,
        "top_k": options.top_k,
        "seed": options.seed,
        **parts.elsewhere,
        **masks,
    }
    free = unpinned_before(out, masks)
    check_folder(out, GROUND_EVAL, settings, resume, overwrite, free=free)
    network = load(folder)
    _ = network.reader  # a model that cannot is refused before it works
    k = scored_patches(network, options.top_k, network.top_k)
    with replacing(out, f"{ASKED}/*/*.npz", overwrite) as replaced:
        continued = open_folder(out, GROUND_EVAL, settings, resume, overwrite, free, replaced.set_aside)
        if not (continued and (out / METRICS).exists()):
            evaluate(network, parts, out, options, k, note, replaced)
        shutil.rmtree(out / ASKED, ignore_errors=True)
    return read_json(out / METRICS)


def evaluate(
    network: Model, parts: Parts, out: Path, options: GroundEvalOptions, k: int, note: str, replaced: Replaced
) -> None:
    """All scans asked, then all figures from numbers alone; `k` patches are judged of each sentence."""
    models = network, untrained(network, options.seed)
    cohort = parts.judged.cohort
    found = {
        name: answer_all(
            models,
            part.studies,
            part.asked,
            out / ASKED / ("own" if part.cohort is cohort else "elsewhere"),  # two cohorts may share ids
            f"{GROUND_EVAL}, {name}",
            replaced.let_go,
        )
        for name, part in parts.named().items()
    }
    refused = {why for answered in found.values() for why in answered.refused.values()}
    if not found["judged"].scans:
        raise SimcropError(
            "nothing-to-judge",
            f"{cohort.path}: no scan of split {options.split!r} could be asked: {', '.join(sorted(refused))}",
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
    facts = facts_of(parts, found, judged, priors, thresholds, options, k, note)
    number = {name: i for i, name in enumerate(sorted(set(patients_of(parts.judged.studies))))}
    write_table(out / SENTENCES, table_of(judged, parts.judged.rows(), number))
    write_page(out / "report.html", every, told, says, facts, options.seed)
    write_metrics(out, metrics_of(every, told, says, facts, options.seed))


def facts_of(
    parts: Parts,
    found: dict[str, Answered],
    judged: list[Judged],
    priors: Priors,
    thresholds: dict[str, float],
    options: GroundEvalOptions,
    k: int,
    note: str,
) -> dict[str, Any]:
    """What was asked of whom, and what was left out."""
    patients = [questions[0].patient for questions, _ in found["judged"].scans]
    return {
        "split": options.split,
        "train": options.train,
        "choose": options.choose,
        "learned_elsewhere": bool(parts.elsewhere),
        "tells_all": parts.tells_all,
        "thresholds": thresholds or None,
        "top_k": k,
        "seed": options.seed,
        "scans": len(found["judged"].scans),
        "patients": len(set(patients)),
        "split_hash": digest_of_names(patients),
        "prior": {"scans": len(found["train"].scans), "sentences": dict(sorted(priors.sentences.items()))},
        "choosing": len(found["choose"].scans) if "choose" in found else 0,
        "beyond_input": sum(of.beyond for of in judged),
        "not_in_mask": sum(bool(of.question.values) and of.ml == 0 for of in judged),
        "rows_of_no_scan": parts.strangers,
        "partly_marked": sum(not of.question.complete for of in judged),
        "denied": sum(len(answers.denied) for _, answers in found["judged"].scans),
        "refused": [
            {"scan": part.rows()[study], "split": name, "reason": why}
            for name, part in parts.named().items()
            for study, why in sorted(found[name].refused.items())
        ],
        "note": note,
    }
