"""The whole line at paper size on real scans with real reports. The pairs are arbitrary: this proves plumbing only.

Axes: x y z of each scan's own grid; heat maps must come back on exactly that grid.
"""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.cli.app import main
from simcrop.data.report import sentences
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.journal import read_journal

STEPS = 6
SCANS = {
    "lidc": "lidc_idri_0001/cxr.nii.gz",
    "lung_dx": "lung_dx_a0001_dicom",
    "lung1": "nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz",
}


def simcrop(*words: str) -> int:
    """Run a verb in this process; its exit code."""
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    return int(stopped.value.code or 0)


def simcrop_apart(*words: str) -> tuple[int, float]:
    """Run a verb in a process of its own; exit code and peak memory in GiB."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-m", "simcrop", *words], os.environ)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss / 2**20


@pytest.fixture(scope="module")
def raw(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real scans in three formats, each beside a real CT-RATE report of somebody else."""
    folder = tmp_path_factory.mktemp("raw")
    for name, path in SCANS.items():
        source = real_data / "ct" / path
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copyfile(source, folder / f"{name}.nii.gz")
    with (real_data / "ctrate" / "validation_reports.csv").open(newline="", encoding="utf-8") as file:
        reports = [row for row, _ in zip(csv.DictReader(file), range(40), strict=False)][::12]
    with (folder / "reports.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "findings", "impression"])
        for name, report in zip(SCANS, reports, strict=False):
            writer.writerow([name, report["Findings_EN"], report["Impressions_EN"]])
    return folder


@pytest.fixture(scope="module")
def cohort(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort") / "store"
    assert simcrop("ingest", str(raw), "--layout", "folder", "--out", str(out)) == 0
    return out


@pytest.fixture(scope="module")
def one_batch_run(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run of simcrop-paper that sees one real scan again and again; its folder and peak memory in GiB."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "raw").mkdir()
    shutil.copyfile(raw / "lidc.nii.gz", folder / "raw" / "lidc.nii.gz")
    shutil.copyfile(raw / "reports.csv", folder / "raw" / "reports.csv")
    out = folder / "cohort"
    assert (
        simcrop("ingest", str(folder / "raw"), "--layout", "folder", "--out", str(out)) == 1
    )  # two reports have no scan
    settings = [
        f"optim.steps={STEPS}",
        "optim.batch=1",
        "optim.warmup_epochs=0",
        "aug.crop=centre",
        "data.workers=0",
    ]
    overrides = [word for setting in settings for word in ("--set", setting)]
    code, peak = simcrop_apart(
        "pretrain", str(out), "--recipe", "simcrop-paper", *overrides, "--out", str(folder / "run")
    )
    assert code == 0
    return folder / "run", peak


def test_real_scans_and_reports_become_a_cohort(cohort: Path) -> None:
    studies = open_cohort(cohort)
    assert len(studies) == len(SCANS)
    assert all(len(sentences(study.findings)) >= 2 for study in studies)


def test_paper_size_steps_on_a_real_scan_are_finite_and_its_loss_falls(
    one_batch_run: tuple[Path, float],
) -> None:
    rows = read_journal(one_batch_run[0] / "journal.jsonl")
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    figures = np.array([[row[name] for name in ("loss", "volume", "align", "report")] for row in rows])
    assert np.isfinite(figures).all()
    assert figures[-1, 0] < 0.8 * figures[0, 0]
    assert figures[-1, 1] < figures[0, 1]
    assert figures[-1, 3] < figures[0, 3]


def test_paper_size_steps_run_over_real_scans_of_three_formats(cohort: Path, tmp_path: Path) -> None:
    settings = [
        f"optim.steps={len(SCANS)}",
        "optim.batch=1",
        "data.workers=0",
        f"checkpoint.every={len(SCANS)}",
    ]
    overrides = [word for setting in settings for word in ("--set", setting)]
    code, _ = simcrop_apart(
        "pretrain", str(cohort), "--recipe", "simcrop-paper", *overrides, "--out", str(tmp_path / "run")
    )
    assert code == 0
    rows = read_journal(tmp_path / "run" / "journal.jsonl")
    assert len(rows) == len(SCANS)
    assert np.isfinite([row["loss"] for row in rows]).all()


def test_paper_size_needs_less_than_ten_gib_at_batch_one(one_batch_run: tuple[Path, float]) -> None:
    assert one_batch_run[1] < 10


def test_paper_size_is_what_the_paper_says(one_batch_run: tuple[Path, float]) -> None:
    config = json.loads((one_batch_run[0] / "model" / "config.json").read_text())["architecture"]
    assert config["input"]["shape"] == [224, 224, 112]
    assert (config["vision"]["depth"], config["vision"]["dim"], config["align"]["top_k"]) == (8, 768, 64)


def test_heat_map_of_a_real_scan_lies_on_its_own_grid(
    one_batch_run: tuple[Path, float], real_data: Path, tmp_path: Path
) -> None:
    scan = real_data / "ct" / SCANS["lidc"]
    sentence = "A nodule is observed in the upper lobe of the left lung."
    words = [
        "ground",
        str(one_batch_run[0]),
        str(scan),
        "--sentence",
        sentence,
        "--out",
        str(tmp_path / "out"),
    ]
    assert simcrop(*words) == 0
    source, heat = nib.load(scan), nib.load(tmp_path / "out" / "sentence_01.nii.gz")
    assert heat.shape == source.shape
    np.testing.assert_allclose(heat.affine, source.affine, atol=1e-4)
    values = np.asarray(heat.dataobj)
    assert values.dtype == np.float32
    assert np.nanmax(np.abs(values)) <= 1
    # The scan is 360 mm wide and the network sees 336 mm: a rim of it must be NaN.
    assert 0 < np.isnan(values).mean() < 0.5
    box = json.loads((tmp_path / "out" / "boxes.json").read_text())["sentence_01"][0]
    at = np.argwhere(values == np.nanmax(values))
    mm = nib.affines.apply_affine(heat.affine, at)
    assert (mm.min(0) >= np.array(box["low_mm"]) - 1.5).all()
    assert (mm.max(0) <= np.array(box["high_mm"]) + 1.5).all()
