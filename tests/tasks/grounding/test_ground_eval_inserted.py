"""`simcrop ground-eval` on a real scan into which findings were put, its usual maps and thresholds learned on phantoms.

Axes: voxels `(x, y, z)` of the scan's own file; lengths in mm.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from nibabel.affines import apply_affine

from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.asking import read_mask, text_of
from simcrop.model import load
from simcrop.phantom.truth import read_truth
from simcrop.tasks.grounding import eval_asked as ground_eval_asked
from simcrop.tasks.grounding.ground_eval import GroundEvalOptions, ground_eval

K = 5
SCAN = "ct/nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz"
LEARNED = ("--split", "train", "--train", "train", "--choose", "valid", "--top-k", K)


@pytest.fixture(scope="module")
def inserted(real_data: Path, line: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two insertions into one patient, made as a user makes them, and judged; nobody may change these folders."""
    from simcrop.tasks.cohorts.ingest import ingest
    from simcrop.tasks.cohorts.phantom import phantom_in_real_scans

    home = tmp_path_factory.mktemp("inserted")
    phantom_in_real_scans(home / "raw", real_data / SCAN, 2, seed=1)
    ingest(home / "raw", "folder", home / "cohort", spacing="5.5,5.5,10")
    options = GroundEvalOptions("train", "train", "valid", top_k=K, train_cohort=line.cohort)
    ground_eval(str(line.run), home / "cohort", home / "out", options)
    metrics = json.loads((home / "out/metrics.json").read_text())
    return SimpleNamespace(cohort=home / "cohort", raw=home / "raw", out=home / "out", metrics=metrics)


def test_figures_are_those_of_a_slow_reading_of_the_real_scans_voxels(inserted: Any, line: Any) -> None:
    model, truth = load(line.run), read_truth(inserted.raw)
    rows = pl.read_csv(inserted.out / "sentences.csv", infer_schema_length=None).sort("scan", "sentence")
    asked = [(study, of) for study in open_cohort(inserted.cohort) for of in truth.of(study.id) if of.shows]
    assert len(rows) == len(asked) >= 2
    for row, (study, of) in zip(rows.to_dicts(), asked, strict=True):
        heat = model.look(study.volume()).ground([text_of(study, of)], K)[0]
        map_ = study.placement(model.spec).to_source(heat.patches)
        mask = read_mask(truth.mask_path(study.id)) == of.mask_value
        assert row["lesion_ml"] == pytest.approx(
            mask.sum() * abs(np.linalg.det(study.source_affine[:3, :3])) / 1000
        )
        reached = np.isfinite(map_)
        if not (mask & reached).any():
            assert row["hit"] is None
            continue
        assert row["hit"] == float((mask & (map_ == np.nanmax(map_))).any())
        middle = heat.boxes_mm[0].mean(0)
        voxels = apply_affine(study.source_affine, np.argwhere(mask))
        assert row["depth_mm"] == pytest.approx(abs(middle[2] - voxels[:, 2].mean()), abs=0.01)
        region = reached & (map_ >= inserted.metrics["thresholds"]["own"])
        assert row["dice"] == pytest.approx(2 * (region & mask).sum() / (region.sum() + mask.sum()), abs=1e-6)


def test_each_score_stands_beside_all_that_it_must_beat(inserted: Any) -> None:
    metrics = inserted.metrics
    for measure in ("hit", "dice", "depth_mm"):
        for who in ("own", "prior", "random", "chance"):
            assert metrics["all"][measure][who] is not None, (measure, who)
    assert set(metrics["thresholds"]) == {"own", "prior", "random"}
    assert metrics["prior"]["scans"] > 2  # phantoms: of the real scans there are two, and both are judged
    assert metrics["scans"] == 2
    assert metrics["patients"] == 1
    assert (metrics["learned_elsewhere"], metrics["tells_all"]) == (True, False)
    page = (inserted.out / "report.html").read_text()
    assert "Nobody has said what these scans show besides" in page
    assert "of another cohort" in page


def test_the_command_says_the_same_and_another_cohort_to_learn_from_is_another_result(
    simcrop: Callable, inserted: Any, line: Any, tmp_path: Path
) -> None:
    words = ("ground-eval", line.run, inserted.cohort, *LEARNED, "--train-cohort")
    again = shutil.copytree(inserted.out, tmp_path / "out")
    ran = simcrop(*words, line.cohort, "--out", again, "--resume")
    assert ran.code == 0, ran.err
    assert "pointing hits" in ran.out
    other = copied(line.cohort, tmp_path / "other")
    table = pl.read_parquet(other / "studies.parquet")
    table[1:].write_parquet(other / "studies.parquet")
    assert "other settings" in simcrop(*words, other, "--out", again, "--resume").refusal


def test_one_split_name_in_two_cohorts_is_two_splits_and_in_one_cohort_is_refused(
    simcrop: Callable, inserted: Any, line: Any, tmp_path: Path
) -> None:
    words = (
        "ground-eval",
        line.run,
        inserted.cohort,
        "--split",
        "train",
        "--choose",
        "train",
        "--out",
        tmp_path / "out",
    )
    for own in ((), ("--train-cohort", inserted.cohort)):
        assert "must not be chosen on the split that is judged" in simcrop(*words, *own).refusal
    ran = simcrop(*words, "--train-cohort", inserted.cohort / "..", "--train", "none")
    assert ran.code == 2
    ran = simcrop(*words, "--train-cohort", line.cohort, "--train", "none")
    assert ran.code == 0, ran.err


def test_scans_of_two_cohorts_with_one_id_are_both_asked(
    line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copied(line.cohort, tmp_path / "other")
    table = pl.read_parquet(other / "studies.parquet")
    renamed = ("other " + pl.col("patient")).alias("patient")
    table.with_columns(renamed).write_parquet(other / "studies.parquet")
    real, written = ground_eval_asked.write_answers, list[Path]()
    monkeypatch.setattr(
        ground_eval_asked, "write_answers", lambda path, of: (written.append(path), real(path, of))
    )
    truth = read_truth(line.raw)
    options = GroundEvalOptions("train", "train", truth=line.raw, top_k=K, train_cohort=line.cohort)
    ground_eval(str(line.run), other, tmp_path / "out", options)
    asked = table.filter(pl.col("split") == "train")["id"]
    shown = [study for study in asked if any(of.shows for of in truth.of(study))]
    assert len(written) == len(set(written)) == 2 * len(shown)


def copied(cohort: Path, to: Path) -> Path:
    return shutil.copytree(cohort, to, ignore=shutil.ignore_patterns("features", "sentences"))


def test_patients_of_another_cohort_by_the_same_name_may_be_the_same(
    simcrop: Callable, line: Any, tmp_path: Path
) -> None:
    other = copied(line.cohort, tmp_path / "other")
    words = ("--split", "train", "--train", "train", "--train-cohort", other, "--out", tmp_path / "out")
    assert "share" in simcrop("ground-eval", line.run, line.cohort, *words).refusal
