"""Probes and zero-shot on the real tables of CT-RATE's validation split, read by the real loader, made-up features:
what says nothing gives chance within its interval, what was planted is found whole. No scan is needed.

Axes: s scan, l label, n patch, e features.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.data.layouts import RawStudy, list_studies
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.evaluation.controls import image_scores
from simcrop.evaluation.wording.protocol import read_protocol
from simcrop.evaluation.wording.zero_shot import prompts_of
from simcrop.model import load
from simcrop.phantom.findings.finding import LABELS
from simcrop.tasks.labelled import label_matrix

TABLES = {
    "radiology_text_reports": "validation_reports.csv",
    "metadata": "validation_metadata.csv",
    "multi_abnormality_labels": "valid_predicted_labels.csv",
}
NO_LABEL = 30  # of 3,039 volumes


@pytest.fixture(scope="module")
def listed(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RawStudy, ...]:
    """Every volume of the split: the real tables round files without a byte, which a layout does not read."""
    root = tmp_path_factory.mktemp("ct-rate")
    for folder, name in TABLES.items():
        (root / folder).mkdir()
        (root / folder / name).symlink_to(real_data / "ctrate" / name)
    for name in pl.read_csv(real_data / "ctrate/validation_reports.csv")["VolumeName"]:
        patient, letter, _ = name.rsplit("_", 2)
        path = root / f"dataset/valid_fixed/{patient}/{patient}_{letter}/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    listing = list_studies("ct-rate", root)
    assert listing.refusals == ()
    return listing.studies


@pytest.fixture(scope="module")
def cohort(
    listed: tuple[RawStudy, ...], toy_cohort: Path, tmp_path_factory: pytest.TempPathFactory
) -> Cohort:
    """These studies as an index. Half of the patients are there to learn from: of the real training split no labels
    are at hand.
    """
    folder = tmp_path_factory.mktemp("real") / "cohort"
    folder.mkdir()
    for file in toy_cohort.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    old = pl.read_parquet(folder / "studies.parquet")
    known = pl.DataFrame(
        {
            **{
                name: [getattr(study, name) for study in listed]
                for name in ("id", "patient", "scan", "findings")
            },
            "impression": [study.impression for study in listed],
            **{
                f"label:{name}": pl.Series([study.labels.get(name) for study in listed], dtype=pl.Int8)
                for name in LABELS
            },
        }
    ).with_columns(
        pl.when(pl.col("patient").rank("dense") % 2 == 0)
        .then(pl.lit("train"))
        .otherwise(pl.lit("valid"))
        .alias("split")
    )
    rest = old.head(1).drop(
        name for name in old.columns if name in known.columns or name.startswith("label:")
    )
    pl.concat([known, pl.concat([rest] * len(known))], how="horizontal").write_parquet(
        folder / "studies.parquet"
    )
    return open_cohort(folder)


def figures(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text())


def holds_chance(found: dict[str, Any], name: str = "macro_auroc") -> bool:
    return found[f"{name}_low"] <= 0.5 <= found[f"{name}_high"]


@pytest.mark.parametrize("planted", [False, True])
def test_probe_of_real_labels(simcrop: Callable, cohort: Cohort, tmp_path: Path, planted: bool) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(len(cohort), 20))
    if planted:
        features[:, :18] = 8 * np.nan_to_num(label_matrix(cohort), nan=0.5) + 0.1 * features[:, :18]
    table = pl.DataFrame({"id": cohort.index["id"], "embedding": features.tolist()})
    table.write_parquet(tmp_path / "made.parquet")
    ran = simcrop("probe", tmp_path / "made.parquet", cohort.path, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = figures(tmp_path / "out")
    assert sum(found["scans"].values()) == len(cohort) == 3039
    assert sum(found["patients"].values()) == 1304
    assert found["labels_absent"] == []
    unknown = {label["unknown"] for label in found["labels"].values()}
    assert unknown == {int(np.isnan(label_matrix(cohort.select("valid"))[:, 0]).sum())}
    if planted:
        assert found["macro_auroc"] == 1.0
    else:
        assert holds_chance(found)
        assert sum(holds_chance(label, "auroc") for label in found["labels"].values()) >= 15


@pytest.mark.parametrize("planted", [False, True])
def test_zero_shot_of_real_labels(
    simcrop: Callable, line, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    """Three patches of each scan lie anywhere; or so that every sentence which is true is nearer than its denial."""
    network, protocol, names = load(line.run), read_protocol("ct-clip"), sorted(cohort.labels)
    prompts, random = prompts_of(network, protocol, names), np.random.default_rng(0)
    if planted:
        yes_no = np.array([pairs[0] for pairs in prompts.pairs])
        apart = prompts.vectors[yes_no[:, 0]] - prompts.vectors[yes_no[:, 1]]
        truth = label_matrix(cohort)[:, [cohort.labels.index(name) for name in names]]
        wanted = 2 * np.nan_to_num(truth, nan=0.5) - 1
        seen = np.repeat((wanted @ np.linalg.pinv(apart).T)[:, None], 3, axis=1)
    else:
        seen = random.normal(size=(len(cohort), 3, prompts.vectors.shape[1]))
    patches = torch.from_numpy(seen).float()
    patches = torch.nn.functional.normalize(patches, dim=-1)

    def scored(_model: Any, _digest: str, studies: Cohort, vectors: np.ndarray, k: int) -> np.ndarray:
        assert len(studies) == len(patches)
        return image_scores(torch.from_numpy(vectors).float(), patches, k).T.numpy()

    monkeypatch.setattr("simcrop.tasks.probing.zero_shot.kept_scores", scored)
    words = ("--protocol", "ct-clip", "--develop", "train", "--top-k", "2", "--out", tmp_path / "out")
    ran = simcrop("zero-shot", line.run, cohort.path, *words)
    assert ran.code == 0, ran.err
    found = figures(tmp_path / "out")
    assert found["classes"] == 18
    if planted:
        assert found["macro_auroc"] == found["without"]["macro_auroc"] == 1.0
        assert found["macro_f1"] > 0.99
    else:
        assert holds_chance(found)
        assert holds_chance(found["without"])


def test_thirty_volumes_of_the_split_have_no_label(cohort: Cohort) -> None:
    unknown = np.isnan(label_matrix(cohort))
    assert unknown.all(1).sum() == unknown.any(1).sum() == NO_LABEL
