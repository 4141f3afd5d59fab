"""`simcrop zero-shot`: labels asked for in words, by a published protocol.

Axes: t template, s scan, l label.
"""

from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.heads.label_map import LabelMap, map_between, map_names, read_map
from simcrop.evaluation.judgement import Judgement, judge
from simcrop.evaluation.wording.protocol import Protocol, read_protocol
from simcrop.evaluation.wording.zero_shot import prompts_of
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_names
from simcrop.metrics import best_threshold, label_aurocs
from simcrop.metrics.ranking import mean_of_defined
from simcrop.model import load
from simcrop.model.folder import model_folder, read_config
from simcrop.tasks.features.cohort_features import model_digest
from simcrop.tasks.features.kept_scores import kept_scores
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.intervals import bounds, without_nan
from simcrop.tasks.labelled import (
    first_of_each,
    label_matrix,
    labelled,
    labelled_all,
    patients_of,
    provenance_note,
    refuse_shared_patients,
    rows_in,
    varying,
)
from simcrop.tasks.probing.figures import PREDICTIONS, block, write_predictions
from simcrop.tasks.probing.page import (
    WORDS,
    absent_words,
    fewer_words,
    label_row,
    macro_words,
    undecided_words,
)
from simcrop.tasks.scored_patches import scored_patches

SIXTEEN = ("Medical material", "Lymphadenopathy")  # the two that the 16-class means of others leave out
CAPTION = "In brackets the 95 % interval over patients. Decisions need thresholds of other patients: --develop SPLIT."
ALL = "all"  # in the place of a split: whatever split it is in
MEASURES = ("auroc", "average_precision", "f1", "sensitivity", "specificity")


def zero_shot(
    model: str,
    cohort_path: Path,
    out: Path,
    protocol: str,
    test: str = "valid",
    develop: str | None = None,
    top_k: int | None = None,
    label_map: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Judgement:
    """Ask for the labels of split `test`, or of `all` studies; thresholds come from the split `develop`, of other
    patients, or there are none.
    """
    asking, folder, cohort = read_protocol(protocol), model_folder(Path(model)), open_cohort(cohort_path)
    testing = volumes_of(tested(cohort, test), asking)
    note = provenance_note(read_config(folder), cohort, testing)
    developing = volumes_of(labelled(cohort, develop), asking) if develop else None
    if developing is not None:
        refuse_shared_patients(developing, testing, f"splits {develop!r} and {test!r} share")
    chosen = classes_of(asking, testing.labels, label_map)
    names = list(chosen.labels)
    truth = truth_of(testing, names)
    if not varying(truth).any():
        raise SimcropError(
            "nothing-to-judge", "no label can be judged: none has both scans with it and without it"
        )
    settings = {
        "model": model_digest(folder),
        "cohort": cohort.digest,
        "protocol": asking.model_dump(mode="json"),
        "label_map": chosen.model_dump(mode="json"),
        "test": test,
        "develop": develop,
        "top_k": top_k,
        "seed": seed,
    }
    with staged(out, "zero-shot", settings, overwrite) as stage:
        network = load(folder)
        k = scored_patches(network, top_k, network.scored)
        asked = sorted(chosen.needed())
        prompts = prompts_of(network, asking, asked)
        rows = [rows_in(cohort, studies) for studies in (testing, developing or testing)]
        looked_at = cohort.keep(np.union1d(*rows).tolist())
        found = kept_scores(network, settings["model"], looked_at, prompts.vectors, k)
        scores = chosen.apply(prompts.scores(found), asked)
        rows = rows_in(looked_at, testing)
        thresholds = thresholds_from(developing, looked_at, scores, names)
        patients = patients_of(testing)
        judged = judge(
            scores[None, rows], truth, thresholds[None], patients, names, seed, probabilities=False
        )
        spread = [
            mean_of_defined(label_aurocs(chosen.apply(one, asked)[rows], truth))
            for one in prompts.scores_alone(found)
        ]
        sixteen = judged_without(SIXTEEN, scores[None, rows], truth, patients, names, seed)
        metrics = figures(judged, sixteen, spread, settings, k, patients, note)
        write_metrics(stage, metrics)
        write_predictions(stage / PREDICTIONS, testing, {0.0: scores[None, rows]}, [seed], truth, names)
        write_page(stage, judged, sixteen, spread, asking, protocol, k, len(truth), note)
    return judged


def tested(cohort: Cohort, test: str) -> Cohort:
    """The studies of a split, or all of them, as others judge by RAD-ChestCT; a split of that name goes first."""
    if test == ALL and ALL not in cohort.index["split"]:
        return labelled_all(cohort)
    return labelled(cohort, test)


def volumes_of(studies: Cohort, asking: Protocol) -> Cohort:
    """Every scan, or the first of each examination."""
    return studies if asking.volumes == "all" else studies.keep(first_of_each(studies).tolist())


def classes_of(asking: Protocol, labels: list[str], name: str | None) -> LabelMap:
    """The cohort's labels that the protocol asks for, each by its own name or, where a shipped map fits, by others."""
    chosen = map_for(labels, name)
    known = asking.labels_of(sorted(chosen.needed()))
    kept = {of: needed for of, needed in chosen.labels.items() if set(needed) <= set(known)}
    if not kept:
        raise SimcropError("unknown-labels", "the protocol asks for none of the labels that this cohort has")
    return chosen.model_copy(update={"labels": kept, "beside": {}})


def map_for(labels: list[str], name: str | None) -> LabelMap:
    """A map whose target are these labels exactly, else each onto itself."""
    if name is not None:
        chosen = read_map(name)
        if missing := set(chosen.labels) - set(labels):
            raise SimcropError(
                "unknown-labels", f"the label map asks the cohort for {min(missing)!r}, which it lacks"
            )
        return chosen
    fitting = [of for of in map(read_map, map_names()) if set(of.labels) == set(labels)]
    return fitting[0] if fitting else map_between(labels, labels, None)


def truth_of(studies: Cohort, names: list[str]) -> np.ndarray:
    """`(s, l)` of these labels."""
    return label_matrix(studies)[:, [studies.labels.index(name) for name in names]]


def thresholds_from(
    developing: Cohort | None, cohort: Cohort, scores: np.ndarray, names: list[str]
) -> np.ndarray:
    """`(l,)`: best by Youden's index on other patients; NaN, and so no decision, where there are none."""
    if developing is None:
        return np.full(len(names), np.nan)
    rows, truth = rows_in(cohort, developing), truth_of(developing, names)
    return np.array([best_threshold(scores[rows, i], truth[:, i]) for i in range(len(names))])


def judged_without(
    left_out: tuple[str, ...],
    scores: np.ndarray,
    truth: np.ndarray,
    patients: np.ndarray,
    names: list[str],
    seed: int,
) -> Judgement | None:
    """The mean that leaves two classes out; None where that changes nothing."""
    kept = [i for i, name in enumerate(names) if name not in left_out]
    if len(kept) in {0, len(names)}:
        return None
    none = np.full((1, len(kept)), np.nan)
    of = [names[i] for i in kept]
    return judge(scores[:, :, kept], truth[:, kept], none, patients, of, seed, probabilities=False)


def figures(
    judged: Judgement,
    sixteen: Judgement | None,
    spread: list[float],
    settings: dict[str, Any],
    k: int,
    patients: np.ndarray,
    note: str,
) -> dict[str, Any]:
    """`metrics.json`."""
    return without_nan(
        {
            **block(judged),
            "classes": len(judged.labels),
            "without": bounds("macro_auroc", sixteen.auroc) | {"labels": list(SIXTEEN)} if sixteen else None,
            "templates": {"macro_auroc": spread, "lowest": min(spread), "highest": max(spread)}
            if spread
            else None,
            "top_k": k,
            **{name: settings[name] for name in ("protocol", "label_map", "test", "develop", "seed")},
            "scans": {"test": len(patients)},
            "patients": {"test": len(set(patients))},
            "split_hash": {"test": digest_of_names(patients)},
            "note": note,
        }
    )


def write_page(
    stage: Path,
    judged: Judgement,
    sixteen: Judgement | None,
    spread: list[float],
    asking: Protocol,
    name: str,
    k: int,
    scans: int,
    note: str,
) -> None:
    """Means, labels, and the words that were asked."""
    page = Page(
        f"Zero-shot, {name}",
        f"Labels asked for in words, by the protocol of {asking.whose}, in {scans} scans. {asking.note} A sentence "
        f"scores a scan by its {k} nearest patches. {note[0].upper()}{note[1:]}.",
    )
    classes = len(judged.labels) - len(judged.absent)
    page.figures({f"macro AUROC, {classes} classes": judged.auroc.value} | other_tiles(sixteen, spread))
    page.section("Label by label", page_words(judged))
    shown = [label for label in judged.labels if label.name not in judged.absent]
    there = [measure for measure in MEASURES if not np.isnan(judged.macro[measure].value)]
    for measures in filter(None, (there[:3], there[3:])):
        everyone = ["all", None, None, *(macro_words(judged, measure) for measure in measures)]
        page.table(
            [everyone, *(label_row(label, measures) for label in shown)],
            ["label", "with", "without", *(WORDS[measure] for measure in measures)],
        )
    page.section("The words")
    asked = asking.templates or [pair for pairs in asking.questions.values() for pair in pairs]
    alone = spread or [None] * len(asked)
    page.table(
        [[*pair, of] for pair, of in zip(asked, alone, strict=True)], ["yes", "no", "macro AUROC alone"]
    )
    page.write(stage / "report.html")


def page_words(judged: Judgement) -> str:
    """Who has no figure, and how the others are to be read."""
    said = absent_words(judged), undecided_words(judged), CAPTION, fewer_words([judged])
    return " ".join(filter(None, said))


def other_tiles(sixteen: Judgement | None, spread: list[float]) -> dict[str, object]:
    """The mean of fewer classes, and how much the wording matters."""
    tiles: dict[str, object] = {}
    if sixteen is not None:
        tiles[f"macro AUROC, {len(sixteen.labels) - len(sixteen.absent)} classes"] = sixteen.auroc.value
    if len(spread) > 1:
        tiles["single templates"] = f"{min(spread):.3f} to {max(spread):.3f}"
    return tiles
