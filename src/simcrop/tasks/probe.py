"""`simcrop probe`: what a linear head reads from a frozen encoder, per label, with intervals by patient.

Axes: s scan, d features, l label.
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.data.split import some_patients
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.schema import LABEL
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.features import POOLS, pooled_in_passes
from simcrop.evaluation.probe import Probe, ProbeResult, evaluate_probe, fit_probe
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.files.whole import write_whole
from simcrop.metrics import Interval
from simcrop.model import load
from simcrop.model.folder import model_folder, read_config
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.scan_vectors import kept_vectors


def probe(
    model: str,
    cohort_path: Path,
    out: Path,
    share: float = 1.0,
    seed: int = 0,
    train: str = "train",
    test: str = "valid",
    pool: str = "mean",
    overwrite: bool = False,
) -> ProbeResult:
    """Fit on a share of the patients of split `train`, judge on split `test`; `metrics.json`, `predictions.parquet`."""
    if pool not in POOLS:
        raise SimcropError("bad-setting", f"--pool wants mean or max, got {pool!r}")
    folder, cohort = model_folder(Path(model)), open_cohort(cohort_path)
    training, testing = labelled(cohort, train), labelled(cohort, test)
    refuse_shared_patients(training, testing, f"splits {train!r} and {test!r} share")
    note = provenance_note(read_config(folder), cohort, testing)
    drawn = some_patients(patients_of(training), share, seed)
    truth, test_truth = label_matrix(training)[drawn], label_matrix(testing)
    refuse_unvarying(label_matrix(training), test_truth, train, test)
    refuse_too_small(share, truth, test_truth, patients_of(training)[drawn], patients_of(training))
    settings = {
        "model": digest_of_files(folder / "model.safetensors", folder / "config.json"),
        "cohort": digest_of_files(cohort_path / "studies.parquet"),
        "share": share,
        "seed": seed,
        "train": train,
        "test": test,
        "pool": pool,
        "head": "logistic",
    }
    with staged(out, "probe", settings, overwrite) as stage:
        features = kept_features(folder, settings["model"], cohort, pool)
        patients, tested = patients_of(training)[drawn], patients_of(testing)
        known, unseen = features[rows_in(cohort, training)][drawn], features[rows_in(cohort, testing)]
        fitted = fit_probe(known, truth, patients, seed)
        result = evaluate_probe(fitted, unseen, test_truth, tested, cohort.labels, seed)
        who = {"train": patients_of(training), "drawn": patients, "test": tested}
        write_metrics(stage, figures(result, fitted, settings, who, note))
        write_predictions(stage / "predictions.parquet", testing, cohort.labels, result.scores)
    return result


def patients_of(studies: Cohort) -> np.ndarray:
    return studies.index["patient"].to_numpy()


def rows_in(cohort: Cohort, studies: Cohort) -> np.ndarray:
    """Where the studies stand in the whole cohort."""
    place = {study: row for row, study in enumerate(cohort.index["id"])}
    return np.array([place[study] for study in studies.index["id"]])


def labelled(cohort: Cohort, split: str) -> Cohort:
    """The studies of a split, in a cohort that has labels."""
    if not cohort.labels:
        raise SimcropError(
            "no-labels", f"{cohort.path}: its studies have no labels, and a probe learns labels"
        )
    studies = cohort.select(split)
    if len(studies) == 0:
        found = ", ".join(sorted(set(cohort.index["split"].to_list())))
        raise SimcropError(
            "no-studies", f"{cohort.path}: no study in split {split!r}; it has {found or 'none'}"
        )
    return studies


def refuse_shared_patients(seen: Cohort, testing: Cohort, what: str) -> None:
    """A patient who was learned from must not be judged by. Patients are counted, never named."""
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


def refuse_too_small(
    share: float, truth: np.ndarray, testing: np.ndarray, drawn: np.ndarray, patients: np.ndarray
) -> None:
    """The whole training side would do, and what was drawn of it does not."""
    if not (varying(truth) & varying(testing)).any():
        raise SimcropError(
            "nothing-to-judge",
            f"--share {share:g} leaves {len(set(drawn))} of {len(set(patients))} patients to learn from, among whose "
            "scans no label that can be judged is both there and not there; take a larger share",
        )


def varying(labels: np.ndarray) -> np.ndarray:
    """Bool `(l,)`: labels of `(s, l)` that some scans have and others have not."""
    return (labels == 1).any(0) & (labels == 0).any(0)


def provenance_note(config: dict[str, Any], cohort: Cohort, testing: Cohort) -> str:
    """Whether the model has seen the test patients: refused when it has, said when it cannot be known."""
    if config.get("provenance", {}).get("cohort") != digest_of_files(cohort.path / "studies.parquet"):
        return "the model comes from another cohort; whether it has seen these test patients is not known"
    split = config["architecture"]["data"]["split"]
    seen = cohort.select(split) if split else cohort
    refuse_shared_patients(seen, testing, "the training of this model and the test split share")
    return f"the model comes from split {split!r} of this cohort, which has none of the test patients"


def label_matrix(studies: Cohort) -> np.ndarray:
    """Float `(s, l)`: 1, 0, or NaN where a label is not known."""
    columns = studies.index.select(pl.col(f"{LABEL}{name}").cast(pl.Float64) for name in studies.labels)
    return columns.fill_null(float("nan")).to_numpy()


def kept_features(folder: Path, model: str, cohort: Cohort, pool: str) -> np.ndarray:
    """Features `(s, d)` of the whole cohort, each scan encoded once per `model`, a digest of what is in `folder`.

    They are kept in the cohort as they are made, for every way of pooling; a cohort that cannot be written keeps none.
    """

    def embedding(passes: list[range]) -> Iterator[tuple[range, np.ndarray]]:
        if passes:
            studies = ([cohort[place] for place in places] for places in passes)
            for places, (_, found) in zip(passes, pooled_in_passes(load(folder), studies), strict=True):
                yield places, np.concatenate([found[name] for name in POOLS], axis=1)

    made_of = zip(*(cohort.index[column].to_list() for column in ("id", "checksum", "affine")), strict=True)
    names = [f"{model} {study}" for study in made_of]
    path = cohort.path / "features" / f"{model[:12]}.vectors"
    vectors = kept_vectors(embedding, names, path, show_progress("features"), must_keep=False)
    return np.split(vectors, len(POOLS), axis=1)[[*POOLS].index(pool)]


def figures(
    result: ProbeResult, fitted: Probe, settings: dict[str, Any], who: dict[str, np.ndarray], note: str
) -> dict[str, Any]:
    """`metrics.json`: what is not defined is null."""
    labels = {
        label.name: {
            **bounds("auroc", label.auroc),
            **{name: value for name, value in asdict(label).items() if name not in {"name", "auroc"}},
        }
        for label in result.labels
    }
    return without_nan(
        {
            **bounds("macro_auroc", result.macro),
            "labels": labels,
            "labels_absent": result.absent,
            "strength": fitted.strength,
            "held_out_auroc": fitted.held_out_auroc,
            "scans": {name: len(patients) for name, patients in who.items()},
            "patients": {name: len(set(patients)) for name, patients in who.items()},
            "split_hash": {name: digest_of_names(patients) for name, patients in who.items()},
            **{name: settings[name] for name in ("seed", "share", "pool", "head")},
            "note": note,
        }
    )


def bounds(name: str, found: Interval) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {name: without_nan(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def write_predictions(path: Path, testing: Cohort, labels: Sequence[str], scores: np.ndarray) -> None:
    """One row per test scan and label: id, label, score, truth; null where there is none."""
    truth = label_matrix(testing)
    ids = testing.index["id"].to_list()
    table = pl.DataFrame(
        {
            "id": np.repeat(ids, len(labels)),
            "label": list(labels) * len(ids),
            "score": scores.reshape(-1).astype(np.float64),
            "truth": truth.reshape(-1),
        }
    ).with_columns(pl.col("score").fill_nan(None), pl.col("truth").fill_nan(None).cast(pl.Int8))
    content = io.BytesIO()
    table.write_parquet(content)
    write_whole(path, content.getvalue())
