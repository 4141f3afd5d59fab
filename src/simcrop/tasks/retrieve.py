"""`simcrop retrieve`: reports, sentences and scans that look for one another.

Axes: r report, s scan, q query, c candidate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.report import sentences
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.controls import TOP_SHARE
from simcrop.evaluation.reports import read_reports
from simcrop.figures.page import Page
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.metrics import drawn_counts, interval_of
from simcrop.metrics.intervals import DRAWS, Interval
from simcrop.metrics.retrieval import average_precision_at, chance_at, disjoint_pools, ranks, recall_at
from simcrop.model import load
from simcrop.model.folder import model_folder, read_config
from simcrop.tasks.cohort_features import kept_features, model_digest
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.kept_scores import kept_scores
from simcrop.tasks.labelled import first_of_each, label_matrix, patients_of, provenance_note
from simcrop.tasks.probe_figures import bounds, without_nan
from simcrop.tasks.probe_page import written

AT = (1, 5, 10, 50, 100)
TEXTS = ("findings", "impression", "report")
POOLS, SHUFFLES, POOL_SEED = (32, 64, 128), 100, 42  # Merlin's
POOLED_AT = (1, 8)


@dataclass(frozen=True, eq=False)
class Found:
    """One question: `direction` and `pool` by name; R@k with interval and chance, median and mean rank."""

    direction: str
    pool: str
    queries: int
    candidates: int
    recall: dict[int, Interval]
    chance: dict[int, float]
    median_rank: float
    mean_rank: float


def retrieve(
    model: str,
    cohort_path: Path,
    out: Path,
    split: str = "valid",
    text: str = "findings",
    top_k: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Found]:
    """`metrics.json` and `report.html`. Raises SimcropError of a method that reads no sentences."""
    if text not in TEXTS:
        raise SimcropError("bad-setting", f"--text wants findings, impression or report, got {text!r}")
    folder, cohort = model_folder(Path(model)), open_cohort(cohort_path)
    asked = cohort.select(split)
    asked = asked.keep([row for row, words in enumerate(texts_of(asked, text)) if sentences(words)])
    if len(asked) < 2:
        raise SimcropError(
            "no-studies", f"{cohort_path}: split {split!r} has fewer than two studies with a {text}"
        )
    note = provenance_note(read_config(folder), cohort, asked)
    settings = {
        "model": model_digest(folder),
        "cohort": digest_of_files(cohort_path / "studies.parquet"),
        "split": split,
        "text": text,
        "top_k": top_k,
        "seed": seed,
    }
    with staged(out, "retrieve", settings, overwrite) as stage:
        network = load(folder)
        k = top_k or max(1, round(TOP_SHARE * network.grid.count))
        reports = read_reports(network, texts_of(asked, text))
        members = np.concatenate([np.append(rows, -1) for rows in reports.members])
        fits = kept_scores(
            network, settings["model"], asked, reports.vectors, k, reports.scores, members.tobytes()
        )
        found = [*between(fits.T, asked, texts_of(asked, text), seed)]
        alike = scans_alike(kept_features(folder, asked, "mean"), asked)
        write_metrics(stage, figures(found, alike, settings, asked, k, note))
        write_page(stage, found, alike, text, k, note)
    return found


def texts_of(studies: Cohort, text: str) -> list[str]:
    """What is asked of each study."""
    columns = ("findings", "impression") if text == "report" else (text,)
    rows = zip(*(studies.index[column].fill_null("").to_list() for column in columns), strict=True)
    return ["\n\n".join(part for part in parts if part.strip()) for parts in rows]


def between(fits: np.ndarray, studies: Cohort, texts: list[str], seed: int) -> Iterator[Found]:
    """Reports and scans both ways, `fits` `(r, s)`, in every published pool; and what counts any scan of the same
    report.
    """
    patients, words = patients_of(studies), np.array(texts)
    every, first = np.arange(len(texts)), first_of_each(studies)
    for pool, rows in (("all volumes", every), ("first volume per study", first)):
        scores, own = fits[np.ix_(rows, rows)], np.eye(len(rows), dtype=bool)
        alike = words[rows][:, None] == words[rows][None, :]
        for direction, of in (("report -> scan", scores), ("scan -> report", scores.T)):
            yield judged(direction, pool, of, own, patients[rows], seed)
            if (alike != own).any():
                yield judged(f"{direction}, any of the same text", pool, of, alike, patients[rows], seed)
    scores = fits[np.ix_(first, first)]
    for size in POOLS:
        if size <= len(first):
            for direction, of in (("report -> scan", scores), ("scan -> report", scores.T)):
                yield in_pools(direction, of, size)


def judged(
    direction: str, pool: str, scores: np.ndarray, relevant: np.ndarray, patients: np.ndarray, seed: int
) -> Found:
    """Intervals over the patients of the queries; the pool stays whole."""
    found = ranks(scores, relevant)
    known = ~np.isnan(found)
    found, patients = found[known], patients[known]
    recall = {}
    for k in AT:
        if k <= scores.shape[1]:
            drawn = [
                counts @ (found <= k) / counts.sum(1)
                for counts in drawn_counts(patients, np.random.default_rng((seed, 1)), DRAWS)
            ]
            recall[k] = interval_of(recall_at(found, k), np.concatenate(drawn))
    chance = {k: chance_at(relevant, k) for k in recall}
    return Found(
        *(direction, pool, len(found), scores.shape[1], recall, chance),
        median_rank=float(np.median(found)),
        mean_rank=float(found.mean()),
    )


def in_pools(direction: str, scores: np.ndarray, size: int) -> Found:
    """The mean over disjoint pools of many shuffles; its interval says how far single pools lie apart."""
    own = np.eye(size, dtype=bool)
    pools = [scores[np.ix_(rows, rows)] for rows in disjoint_pools(len(scores), size, SHUFFLES, POOL_SEED)]
    found = np.stack([ranks(of, own) for of in pools])
    recall = {}
    for k in POOLED_AT:
        each = (found <= k).mean(1)
        recall[k] = interval_of(float(each.mean()), each)
    chance = {k: k / size for k in recall}
    return Found(
        *(direction, f"pools of {size}", found.size, size, recall, chance),
        median_rank=float(np.median(found)),
        mean_rank=float(found.mean()),
    )


def scans_alike(features: np.ndarray, studies: Cohort) -> dict[str, dict[str, float]]:
    """Scan -> scan by the cosine of pooled features, in both published variants; nothing without labels.

    A scan is no candidate for itself, nor is another of its examination: it would find its own reconstruction.
    """
    if not studies.labels:
        return {}
    rows = first_of_each(studies)
    labels = label_matrix(studies)[rows]
    known = ~np.isnan(labels).any(1)
    rows, labels = rows[known], labels[known]
    units = features[rows] / np.maximum(np.linalg.norm(features[rows], axis=1, keepdims=True), 1e-12)
    scores = units @ units.T
    np.fill_diagonal(scores, -np.inf)
    same = (labels[:, None] == labels[None]).all(-1) & ~np.eye(len(rows), dtype=bool)
    shared = (labels @ labels.T > 0) & ~np.eye(len(rows), dtype=bool)
    abnormal = labels.any(1)
    variants = {
        "identical labels, over what could be found (SPECTRE)": (scores, same, "found"),
        "any shared label, abnormal scans, over k (RadFinder)": (
            scores[np.ix_(abnormal, abnormal)],
            shared[np.ix_(abnormal, abnormal)],
            "k",
        ),
    }
    out = {}
    for name, (of, relevant, divide_by) in variants.items():
        there = relevant.any(1) if len(relevant) else np.zeros(0, bool)
        if there.any():
            each = {k: average_precision_at(of, relevant, k, divide_by) for k in AT if k < len(of)}
            out[name] = {"queries": float(there.sum())} | {
                f"mAP@{k}": float(np.nanmean(ap)) for k, ap in each.items()
            }
    return out


def figures(
    found: list[Found],
    alike: dict[str, dict[str, float]],
    settings: dict[str, Any],
    studies: Cohort,
    k: int,
    note: str,
) -> dict[str, Any]:
    """`metrics.json`."""
    patients = patients_of(studies)
    return without_nan(
        {
            "retrieval": [
                {
                    "direction": one.direction,
                    "pool": one.pool,
                    "queries": one.queries,
                    "candidates": one.candidates,
                    **{
                        key: v
                        for at, of in one.recall.items()
                        for key, v in bounds(f"recall_at_{at}", of).items()
                    },
                    **{f"chance_at_{at}": of for at, of in one.chance.items()},
                    "median_rank": one.median_rank,
                    "mean_rank": one.mean_rank,
                }
                for one in found
            ],
            "scan_to_scan": alike,
            "top_k": k,
            **{name: settings[name] for name in ("split", "text", "seed")},
            "scans": len(patients),
            "patients": len(set(patients)),
            "split_hash": digest_of_names(patients),
            "note": note,
        }
    )


def write_page(
    stage: Path, found: list[Found], alike: dict[str, dict[str, float]], text: str, k: int, note: str
) -> None:
    """A table per pool, chance beside every figure."""
    page = Page(
        "Retrieval",
        f"Which scan a report is of, and which report a scan has; the text is the {text}. A sentence scores a scan by "
        f"its {k} nearest patches, a report by the mean over its sentences. {note[0].upper()}{note[1:]}.",
    )
    for pool in dict.fromkeys(one.pool for one in found):
        those = [one for one in found if one.pool == pool]
        page.section(pool[0].upper() + pool[1:], f"{those[0].candidates} candidates.")
        at = list(those[0].recall)
        page.table(
            [
                [
                    one.direction,
                    *(f"{written(one.recall[each])} / {one.chance[each]:.3f}" for each in at),
                    one.median_rank,
                ]
                for one in those
            ],
            ["", *(f"R@{each} / chance" for each in at), "median rank"],
        )
    if alike:
        page.section("Scan to scan", "By the cosine of pooled features, the first volume of each study.")
        for name, of in alike.items():
            page.table([[name, *of.values()]], ["relevant", *of])
    page.write(stage / "report.html")
