"""The whole line on real scans with real reports. The pairs are arbitrary: this proves plumbing only.

The network of the paper takes one step and looks at its batch again, since a step costs most of a minute on one core; a
thin one takes more.

Axes: x y z of each scan's own grid; heat maps must come back on exactly that grid.
"""

import csv
import json
import os
import shutil
import sys
from math import prod
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from simcrop.cli.app import main
from simcrop.config import load_recipe
from simcrop.data.report import sentences
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.checkpoint import checkpoints, load_trained_state
from simcrop.engine.gradient import Gradient
from simcrop.engine.journal import read_journal
from simcrop.model import load
from simcrop.nn.masking import random_mask
from simcrop.tasks.training.components import ALONE
from simcrop.tasks.training.job import prepare_job
from simcrop.tasks.training.samples import training_studies
from simcrop.tasks.training.train import with_precision

PAPER = (*("optim.steps=1", "optim.batch=1", "optim.warmup_epochs=0", "aug.crop=centre", "data.workers=0"),)
ROUNDS = 3  # of the thin network over all scans
THIN = (
    *("vision.depth=1", "vision.dim=192", "vision.heads=3"),
    *("vision_decoder.depth=1", "vision_decoder.dim=96", "vision_decoder.heads=3"),
    *(
        "report_decoder.depth=1",
        "report_decoder.dim=96",
        "report_decoder.heads=3",
        "report_decoder.hidden=192",
    ),
    "fusion.heads=3",
)
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


def set_all(*settings: str) -> list[str]:
    """The words that change a recipe for the command line."""
    return [word for setting in settings for word in ("--set", setting)]


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
    """A run of simcrop-paper that takes a step on one real scan; its folder and peak memory in GiB."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "raw").mkdir()
    shutil.copyfile(raw / "lidc.nii.gz", folder / "raw" / "lidc.nii.gz")
    shutil.copyfile(raw / "reports.csv", folder / "raw" / "reports.csv")
    out = folder / "cohort"
    assert (
        simcrop("ingest", str(folder / "raw"), "--layout", "folder", "--out", str(out)) == 1
    )  # two reports have no scan
    words = ("pretrain", str(out), "--recipe", "simcrop-paper", *set_all(*PAPER))
    code, peak = simcrop_apart(*words, "--out", str(folder / "run"))
    assert code == 0
    return folder / "run", peak


@pytest.fixture(scope="module")
def thin_run(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a thin network, on the input and the patches of the paper, that sees all scans."""
    changed = set_all(
        *THIN,
        f"optim.steps={ROUNDS * len(SCANS)}",
        "optim.batch=1",
        "optim.lr=1e-3",
        "optim.warmup_epochs=0",
        "data.workers=0",
    )
    run = tmp_path_factory.mktemp("thin") / "run"
    assert simcrop("pretrain", str(cohort), "--recipe", "simcrop-paper", *changed, "--out", str(run)) == 0
    return run


def test_real_scans_and_reports_become_a_cohort(cohort: Path) -> None:
    studies = open_cohort(cohort)
    assert len(studies) == len(SCANS)
    assert all(len(sentences(study.findings)) >= 2 for study in studies)


TERMS = ("volume", "align", "report")


def test_paper_size_step_on_a_real_scan_is_finite_and_lowers_the_loss_of_its_batch(
    one_batch_run: tuple[Path, float],
) -> None:
    """The same scan, the same patches and words hidden."""
    run = one_batch_run[0]
    (row,) = read_journal(run / "journal.jsonl")
    assert row["step"] == 1
    assert row["grad_norm"] > 0
    before = {name: row[name] for name in ("loss", *TERMS)}
    after = loss_of_first_batch(run)
    assert np.isfinite([*before.values(), *after.values(), row["grad_norm"]]).all()
    assert after["loss"] < 0.9 * before["loss"]
    assert after["volume"] < before["volume"]
    assert after["report"] < before["report"]


def loss_of_first_batch(run: Path) -> dict[str, float]:
    """By the weights that the run ended with, in its precision."""
    cohort = open_cohort(run.parent / "cohort")
    recipe = with_precision(load_recipe("simcrop-paper", list(PAPER)), run, ALONE, resume=True)
    objective, job = prepare_job(cohort, training_studies(cohort, recipe), recipe, run, begun=True)
    load_trained_state(objective, load_file(checkpoints(run / "checkpoints")[-1] / "model.safetensors"))
    half = recipe.engine.precision == "bf16"
    gradient = Gradient(objective.train(), objective, job.share(ALONE), job.seed, half, ALONE)
    with torch.no_grad():
        (batch,) = gradient.drawn(0, [job.collate([job.dataset[draw] for draw in job.order.draws(0)])])
        parts = objective.settled(gradient.forward(0, 0, batch, objective))
    terms = {name: float(parts[name]) for name in TERMS}
    return {"loss": sum(gradient.weights[name] * terms[name] for name in TERMS), **terms}


def test_a_thin_network_learns_from_real_scans_of_three_formats(thin_run: Path) -> None:
    rows = read_journal(thin_run / "journal.jsonl")
    assert len(rows) == ROUNDS * len(SCANS)
    figures = np.array([[row[name] for name in ("loss", "volume", "align", "report")] for row in rows])
    assert np.isfinite(figures).all()
    rounds = figures.reshape(ROUNDS, len(SCANS), -1).mean(1)  # in each, every scan once
    assert rounds[-1, 0] < 0.8 * rounds[0, 0]
    assert rounds[-1, 1] < rounds[0, 1]
    assert rounds[-1, 3] < rounds[0, 3]


def test_paper_size_needs_less_than_ten_gib_at_batch_one(one_batch_run: tuple[Path, float]) -> None:
    """From the second step on, what the optimiser keeps is there all the time."""
    run, peak = one_batch_run
    kept = (checkpoints(run / "checkpoints")[-1] / "optimizer.safetensors").stat().st_size / 2**30
    assert peak + kept < 10


def test_paper_size_is_what_the_paper_says(one_batch_run: tuple[Path, float]) -> None:
    """Counted in what was trained, against the numbers of the paper and the arithmetic of a ViT-B block."""
    d, voxels = 768, 16 * 16 * 8
    block = 12 * d**2 + 13 * d  # attention 4 d^2, MLP of 4 d 8 d^2; biases and two norms
    saved = checkpoints(one_batch_run[0] / "checkpoints")[-1] / "model.safetensors"
    with safe_open(saved, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118

    def numbers(part: str) -> int:
        return sum(prod(shape) for name, shape in shapes.items() if name.startswith(part))

    def depth(part: str, layers: str) -> int:
        found = (name.split(f".{layers}.") for name in shapes if name.startswith(f"{part}."))
        return len({rest[0].split(".")[0] for _, *rest in found if rest})

    depths = (depth("vision", "blocks"), depth("vision_decoder", "blocks"), depth("report_decoder", "layer"))
    assert depths == (8, 4, 6)
    assert shapes["vision.patch_embed.weight"] == (d, voxels)
    assert numbers("vision.") == 8 * block + (voxels + 1) * d + d + 2 * d  # embedding, class token, last norm
    assert numbers("vision_decoder.") == 4 * block + (d + 1) * d + d + 2 * d + (d + 1) * voxels
    assert numbers("report_decoder.") == 6 * block

    recipe = load(one_batch_run[0]).recipe
    patches = recipe.input.grid.split(torch.zeros(1, 1, 224, 224, 112))
    assert tuple(recipe.input.grid.shape) == (14, 14, 14)
    assert patches.shape == (1, 2744, voxels)
    mask = random_mask(torch.rand(1, 2744), recipe.mim.mask_ratio)
    assert mask.take_visible(patches).shape == (1, 686, voxels)
    assert mask.take_masked(patches).shape == (1, 2058, voxels)
    assert recipe.align.top_k == 64


def test_heat_map_of_a_real_scan_lies_on_its_own_grid(
    thin_run: Path, real_data: Path, tmp_path: Path
) -> None:
    scan = real_data / "ct" / SCANS["lung1"]
    sentence = "A nodule is observed in the upper lobe of the left lung."
    words = [
        "ground",
        str(thin_run),
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
    # The scan is 500 x 500 x 402 mm and the network sees 336 mm of each: its rim must be NaN, and nothing else.
    assert np.isnan(values).mean() == pytest.approx(1 - 336**3 / (500 * 500 * 402), abs=0.02)
    box = json.loads((tmp_path / "out" / "boxes.json").read_text())["sentence_01"][0]
    at = np.argwhere(values == np.nanmax(values))
    mm = nib.affines.apply_affine(heat.affine, at)
    assert (mm.min(0) >= np.array(box["low_mm"]) - 1.5).all()
    assert (mm.max(0) <= np.array(box["high_mm"]) + 1.5).all()
