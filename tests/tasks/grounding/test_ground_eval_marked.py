"""`simcrop ground-eval` where a data set marks its sentences itself, with masks that overlap and marks in part; and on
organ masks of one's own, from files in a folder to the figures.

Axes: f finding; x, y, z voxels of the scan's own file. Lengths in mm.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import polars as pl
import pytest
from nibabel.affines import apply_affine
from scipy.ndimage import binary_dilation

from simcrop.data.store.cohort import open_cohort
from simcrop.data.store.findings import read_findings
from simcrop.model import load
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.cohorts.phantom import phantom
from simcrop.tasks.grounding.ground_eval import GroundEvalOptions, ground_eval

K = 5


def overlapped(raw: Path) -> None:
    """Every scan of `val` gets one more finding, which holds all others and what is beside them."""
    facts = json.loads((raw / "dataset.json").read_text())
    for entry in facts["val"]:
        path = raw / "segmentations" / entry["name"]
        image = nib.load(path)
        marks = np.asarray(image.dataobj)
        more = binary_dilation(marks.any(0)).astype(np.uint8)[None]
        nib.save(nib.Nifti1Image(np.concatenate([marks, more]), image.affine), path)
        number = str(len(marks))
        entry["findings"][number], entry["categories"][number] = "The lungs are changed.", "2h"
        entry["pixels"][number], entry["entity_counts"][number] = int(more.sum()), 1
    (raw / "dataset.json").write_text(json.dumps(facts))


@pytest.fixture(scope="module")
def marked(line: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Phantoms in the format of ReXGroundingCT whose findings overlap, judged on `valid`; nobody may change it."""
    home = tmp_path_factory.mktemp("marked")
    phantom(home / "raw", "rexgrounding", 15, seed=3, size="tiny", difficulty="easy")
    overlapped(home / "raw")
    ingest(home / "raw", "rexgrounding", home / "cohort", spacing="5.5,5.5,10")
    ground_eval(str(line.run), home / "cohort", home / "out", GroundEvalOptions(top_k=K))
    metrics = json.loads((home / "out/metrics.json").read_text())
    return SimpleNamespace(cohort=home / "cohort", raw=home / "raw", out=home / "out", metrics=metrics)


def table_in(out: Path) -> pl.DataFrame:
    return pl.read_csv(out / "sentences.csv", infer_schema_length=None)


def test_findings_that_overlap_are_each_measured_whole(marked: Any, line: Any) -> None:
    """Slowly: each channel of the file by itself, which no label volume has in between."""
    model, cohort = load(line.run), open_cohort(marked.cohort)
    findings, rows = read_findings(cohort), iter(table_in(marked.out).sort("scan", "sentence").to_dicts())
    overlaps = 0
    for study in cohort.select("valid"):
        channels = np.asarray(nib.load(marked.raw / "segmentations" / f"{study.id}.nii.gz").dataobj) > 0
        overlaps += int((channels.sum(0) > 1).any())
        seen, affine = model.look(study.volume()), study.source_affine
        for finding in findings[study.id]:
            row, mask = next(rows), channels[finding.number]
            assert row["sentence"] == finding.number
            assert row["lesion_ml"] == pytest.approx(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000)
            heat = seen.ground([finding.text], K)[0]
            map_ = study.placement(model.spec).to_source(heat.patches)
            assert row["hit"] == float((mask & (map_ == np.nanmax(map_))).any())
            voxels, middle = apply_affine(affine, np.argwhere(mask)), heat.boxes_mm[0].mean(0)
            assert row["depth_mm"] == pytest.approx(abs(middle[2] - voxels[:, 2].mean()), abs=0.01)
            one, other = map_[mask], map_[~mask & np.isfinite(map_)]
            cnr = (one.mean() - other.mean()) / np.sqrt(one.var() + other.var())
            assert row["cnr"] == pytest.approx(cnr, rel=1e-3)
    assert overlaps == len(cohort.select("valid")) > 1
    assert next(rows, None) is None
    assert marked.metrics["partly_marked"] == 0
    assert set(marked.metrics["findings"]) <= set(marked.metrics["prior"]["sentences"]) | set(
        table_in(marked.out)["finding"]
    )


def test_of_marks_in_part_recall_alone_is_judged_and_no_threshold_is_chosen_by_them(
    simcrop: Callable, marked: Any, line: Any, tmp_path: Path
) -> None:
    words = ("ground-eval", line.run, marked.cohort, "--top-k", K)
    ran = simcrop(*words, "--split", "train", "--train", "valid", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found, metrics = table_in(tmp_path / "out"), json.loads((tmp_path / "out/metrics.json").read_text())
    assert found["recall"].null_count() < len(found)
    assert found["recall_chance"].null_count() < len(found)
    for measure in ("hit", "hit_k", "precision", "cnr", "distance_mm", "depth_mm", "hit_chance"):
        assert found[measure].null_count() == len(found), measure
    assert metrics["partly_marked"] == len(found)
    assert metrics["beyond_input"] == 0
    refused = simcrop(*words, "--choose", "train", "--out", tmp_path / "other").refusal
    assert "no sentence of split 'train' has all that it names marked" in refused
    assert not (tmp_path / "other").exists()


def test_organ_masks_of_ones_own_are_asked_for_from_files_to_figures(
    simcrop: Callable, line: Any, tmp_path: Path
) -> None:
    """Masks beside scans are taken by ingest, and a table says which sentence each value belongs to."""
    rows = []
    for number in range(4):
        scan = sorted(line.raw.rglob("dataset/*/*/*/*.nii.gz"))[number]
        image = nib.load(scan)
        hu = np.asarray(image.dataobj)
        mask = np.zeros(hu.shape, np.uint8)
        half = hu.shape[0] // 2
        air = (hu > -950) & (hu < -500)
        mask[:half][air[:half]], mask[half:][air[half:]] = 1, 2
        folder = tmp_path / "mine" / f"p{number}"
        folder.mkdir(parents=True)
        nib.save(image, folder / "ct.nii.gz")
        nib.save(nib.Nifti1Image(mask, image.affine), folder / "ct_mask.nii.gz")
        rows += [
            (f"p{number}__ct", "The lungs are clear.", "1", "right lung"),
            (f"p{number}__ct", "The lungs are clear.", "2", "left lung"),
            (f"p{number}__ct", "The lungs are clear.", "1 2", "lungs"),
        ]
    table = tmp_path / "mine.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("scan", "sentence", "value", "finding"), *rows])
    ran = simcrop("ingest", tmp_path / "mine", "--out", tmp_path / "cohort", "--spacing", "5.5,5.5,10")
    assert ran.code == 0, ran
    words = (
        "ground-eval",
        line.run,
        tmp_path / "cohort",
        "--sentences",
        table,
        "--split",
        "train",
        "--train",
        "valid",
    )
    ran = simcrop(*words, "--top-k", K, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = table_in(tmp_path / "out")
    assert len(found) == 12
    of = {
        (row["scan"], row["finding"]): row
        for row in found.select("scan", "finding", "lesion_ml", "recall", "hit").to_dicts()
    }
    for scan in range(4):
        right, left, both = (of[scan, name] for name in ("right lung", "left lung", "lungs"))
        assert both["lesion_ml"] == pytest.approx(right["lesion_ml"] + left["lesion_ml"])
        assert both["hit"] == max(right["hit"], left["hit"])
    mask = np.asarray(nib.load(tmp_path / "mine/p0/ct_mask.nii.gz").dataobj)
    affine = nib.load(tmp_path / "mine/p0/ct_mask.nii.gz").affine
    ml = (mask == 1).sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
    assert of[0, "right lung"]["lesion_ml"] == pytest.approx(ml)
