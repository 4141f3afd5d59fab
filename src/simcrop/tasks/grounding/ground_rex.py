"""`simcrop ground-rex`: the sentences of ReXGroundingCT found in their scans, scored as it scores, and as a submission.

No axes or units. The threshold that makes a mask of a heat map is chosen on scans of the development split and written
to `threshold.json` before any scan of the judged split is opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from simcrop.data.ingest.target import first_line
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.findings import read_findings
from simcrop.data.store.format import FINDINGS, STUDIES
from simcrop.errors import SimcropError
from simcrop.evaluation.grounding.finding_beside import foreign_sentences
from simcrop.evaluation.grounding.finding_scores import by_category, figures_of
from simcrop.evaluation.grounding.finding_threshold import Threshold, choose_threshold
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import read_json, write_json
from simcrop.model import load
from simcrop.model.folder import model_folder, read_config
from simcrop.model.heat import looks_along
from simcrop.tasks.features.cohort_features import model_digest
from simcrop.tasks.folder import check_folder, open_folder, write_metrics
from simcrop.tasks.grounding.rex_judged import (
    BESIDE,
    SUFFIX,
    Findings,
    Looking,
    Refused,
    counts_of,
    mask_all,
    mask_path,
    scored_of,
)
from simcrop.tasks.grounding.rex_page import WHOSE, write_page
from simcrop.tasks.grounding.rex_submission import Checked, Shape, check_zip, write_zip
from simcrop.tasks.intervals import without_nan
from simcrop.tasks.labelled import provenance_note, studies_of
from simcrop.tasks.replaced import replacing

VERB, THRESHOLD, ZIP, PAGE = "ground-rex", "threshold.json", "submission.zip", "report.html"


@dataclass(frozen=True)
class Grounded:
    """How many scans have masks, which were refused, the metrics as they were written, the zip and the page."""

    scans: int
    refused: tuple[Refused, ...]
    metrics: Mapping[str, Any]
    zip: Path
    page: Path


def ground_rex(
    model: str,
    cohort_path: Path,
    out: Path,
    develop: str = "valid",
    split: str = "test",
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    fine: int = 1,
) -> Grounded:
    """Masks of split `split` under `masks/`, together in `submission.zip`; scores where its masks are known."""
    folder, cohort = model_folder(Path(model)), open_cohort(cohort_path)
    findings = read_findings(cohort)
    refuse_pseudonyms(cohort)
    judged, developing = sides(cohort, develop, split)
    settings = {
        "model": model_digest(folder),
        "cohort": digest_of_files(cohort.path / STUDIES, cohort.path / FINDINGS),
        "develop": develop,
        "split": split,
        "seed": seed,
    } | ({"fine": fine} if fine != 1 else {})
    check_folder(out, VERB, settings, resume, overwrite)
    fair, note = unseen(folder, cohort, judged)
    network = load(folder)
    _ = network.reader  # a model that reads no sentences is refused before it works
    looks_along(fine, network.grid.patch)
    looking = Looking(network, findings, fine, foreign_sentences(judged, findings, seed), seed)
    with replacing(out, THRESHOLD, overwrite) as replaced:
        open_folder(out, VERB, settings, resume, overwrite, clear=replaced.set_aside)
        threshold = replaced.until_done(kept_threshold)(looking, developing, develop, out)
        lines, refused = mask_all(looking, judged, threshold, out)
        if not lines:
            raise SimcropError(refused[0].reason, refused[0].sentence)
        ids = sorted(line["id"] for line in lines)
        write_zip(out / ZIP, [mask_path(out, id) for id in ids])
        patients = dict(fair.index.select("id", "patient").iter_rows())
        told = [line for line in lines if line["id"] in patients]
        scored, beside = scored_of(told, patients), {who: scored_of(told, patients, who) for who in BESIDE}
        metrics = {
            "split": split,
            "scans": len(lines),
            "findings": sum(len(line["findings"]) for line in lines),
            "threshold": asdict(threshold),
            "judged_scans": len({one.study for one in scored}),
            "judged_patients": len({one.patient for one in scored}),
            "judged_findings": len(scored),
            "fine": fine,
            "seen_in_training": len(judged) - len(fair),
            "note": note,
            **(figures_of(scored, seed) if scored else {}),
            "categories": by_category(scored),
            "beside": {
                who: {"findings": len(of), **figures_of(of, seed), "categories": by_category(of)}
                for who, of in beside.items()
                if of
            },
            "refused": [asdict(one) for one in refused],
        }
        write_page(out / PAGE, without_nan(metrics))
        write_metrics(out, without_nan(metrics))
    return Grounded(len(lines), tuple(refused), metrics, out / ZIP, out / PAGE)


def refuse_pseudonyms(cohort: Cohort) -> None:
    if "pseudonyms" in (first_line(cohort.path) or {}):
        raise SimcropError(
            "no-names", f"{cohort.path}: its ids are pseudonyms, and a submission goes by the names of scans"
        )


def sides(cohort: Cohort, develop: str, split: str) -> tuple[Cohort, Cohort]:
    """The judged studies, and those that the threshold is chosen on: marked ones of other patients."""
    if develop == split:
        raise SimcropError(
            "bad-setting",
            f"the threshold cannot be chosen on what is judged: --develop and --split are {split!r}",
        )
    own, judged = studies_of(cohort, develop), studies_of(cohort, split)
    other = ~pl.col("patient").is_in(judged.index["patient"].unique().to_list())
    rows = (
        own.index.with_row_index("row").filter(other & pl.col("mask_checksum").is_not_null())["row"].to_list()
    )
    if not rows:
        raise SimcropError(
            "nothing-to-judge",
            f"{cohort.path}: split {develop!r} has no scan with masks of a patient who is not in {split!r}",
        )
    return judged, own.keep(rows)


def unseen(folder: Path, cohort: Cohort, judged: Cohort) -> tuple[Cohort, str]:
    """The judged studies of patients whom the model was not trained on, and what is known of that."""
    config = read_config(folder)
    fair = judged
    if (config.get("provenance") or {}).get("cohort") == cohort.digest:
        split = config["architecture"]["data"]["split"]
        seen = (cohort.select(split) if split else cohort).index["patient"].unique().to_list()
        fair = judged.keep(
            judged.index.with_row_index("row").filter(~pl.col("patient").is_in(seen))["row"].to_list()
        )
    return fair, provenance_note(config, cohort, fair)


def kept_threshold(looking: Looking, developing: Cohort, split: str, out: Path) -> Threshold:
    """The one that an earlier call wrote down, or a new one, which is written down before anything else is done."""
    try:
        return Threshold(**read_json(out / THRESHOLD)["threshold"])
    except FileNotFoundError:
        pass
    refused: list[Refused] = []
    counts = counts_of(looking, list(developing), refused)
    threshold = choose_threshold(counts, split)
    threshold = replace(threshold, scans=len(developing) - len(refused))
    left = [asdict(one) for one in refused]
    write_json(out / THRESHOLD, {"threshold": asdict(threshold), "refused": left})
    return threshold


def check_submission(path: Path, cohort_path: Path | None, split: str, scans: int | None) -> Checked:
    """The zip against the scans and findings of a cohort's split, or without one by itself."""
    if cohort_path is None:
        return check_zip(path, None, scans)
    cohort = open_cohort(cohort_path)
    refuse_pseudonyms(cohort)
    return check_zip(path, shapes_of(cohort.select(split), read_findings(cohort)), scans)


def shapes_of(studies: Cohort, findings: Findings) -> dict[str, Shape]:
    """Of each scan by the name of its file: findings, and voxels of its own grid."""
    return {f"{study.id}{SUFFIX}": (len(findings[study.id]), *study.source_shape) for study in studies}


def told(metrics: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Lines for a person: each figure with its interval, and what it must beat."""
    return [
        f"{name.replace('_', ' ')} {metrics[name]:.3f} ({metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f})"
        + "".join(
            f", {WHOSE[who]} {of[name]:.3f}" for who, of in metrics["beside"].items() if of[name] is not None
        )
        for name in names
        if name in metrics
    ]
