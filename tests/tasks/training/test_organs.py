"""Organ maps and texts from the phantom to a trained model, and what is refused on the way. Axes: x, y, z voxels."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.layouts import list_studies
from simcrop.data.layouts.organ_maps import LEFT_ASIDE
from simcrop.data.organs import OrganText, split_by_words, total_classes
from simcrop.data.store.cohort import open_cohort
from simcrop.phantom import Request, write_cohort

SPACING, GRID = (14.0, 12.0, 24.0), "14,12,24"
TINY = (
    *("input.spacing_mm=[14,12,24]", "input.shape=[24,28,15]", "input.patch=[6,4,5]", "optim.steps=2"),
    *(
        "optim.batch=2",
        "vision.dim=24",
        "vision.depth=2",
        "vision.heads=2",
        "organs.dim=8",
        "aug.crop=centre",
    ),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`raw/` with organs, and `cohort/` made of it."""
    home = tmp_path_factory.mktemp("organs")
    write_cohort(home / "raw", Request("ct-rate", 3, 4, "tiny", organs=True))
    ingest(home / "raw", "ct-rate", home / "cohort", SPACING)
    return home


def settings(*further: str) -> list[str]:
    return [word for setting in (*TINY, *further) for word in ("--set", setting)]


def test_there_are_117_classes_and_organs_are_made_of_them() -> None:
    classes = total_classes()
    assert list(classes) == list(range(1, 118))
    told = {10: "lung_upper_lobe_left", 15: "esophagus", 51: "heart", 52: "aorta", 117: "costal_cartilages"}
    assert told.items() <= classes.items()


def test_an_organ_map_lies_on_its_scan_and_knows_its_tissue(home: Path) -> None:
    path = next((home / "raw").rglob("train_1_a_1.nii.gz"))
    scan, organs = (
        np.asarray(nib.load(p).dataobj) for p in (path, path.with_name("train_1_a_1_organs.nii.gz"))
    )
    assert scan.shape == organs.shape
    for lobe in range(10, 15):
        assert scan[organs == lobe].mean() < -500
    assert scan[organs == 16].mean() < -700
    assert scan[np.isin(organs, (51, 52))].mean() > 20
    left, right = (np.argwhere(organs == lobe).mean(0)[0] for lobe in (10, 12))
    assert left > right  # the file counts x to the left
    shifted = np.roll(organs, 8, 2)
    assert scan[shifted == 12].mean() > scan[organs == 12].mean() + 50


def test_a_cohort_takes_the_maps_as_its_masks(home: Path) -> None:
    cohort = open_cohort(home / "cohort")
    assert cohort.classes == total_classes()
    assert all({10, 12, 15, 51, 52} <= set(study.mask_values) for study in cohort)
    assert set(cohort.ledger["status"].to_list()) == {"taken"}


def test_without_being_asked_a_phantom_has_no_word_of_organs(tmp_path: Path) -> None:
    write_cohort(tmp_path, Request("folder", 1, 4, "tiny"))
    assert not [path for path in tmp_path.rglob("*") if "organs" in path.name or "_info" in path.name]
    assert "organs" not in (tmp_path / "truth" / "phantom.json").read_text()


def test_a_folder_takes_maps_too_and_masks_of_its_own_come_first(tmp_path: Path) -> None:
    write_cohort(tmp_path, Request("folder", 2, 4, "tiny", organs=True))
    listing = list_studies("folder", tmp_path)
    masks = [study.mask for study in listing.studies]
    assert [mask.name for mask in masks if mask] == ["ct_organs.nii.gz"] * 2
    assert not listing.refusals
    own = masks[0]
    assert own is not None
    own.with_name("ct_mask.nii.gz").write_bytes(own.read_bytes())
    listing = list_studies("folder", tmp_path)
    assert [study.mask and study.mask.name for study in listing.studies] == ["ct_mask.nii.gz", None]
    assert all(LEFT_ASIDE in study.notes for study in listing.studies)
    assert listing.classes is None


def test_a_map_on_another_grid_is_refused_and_its_scan_is_taken(tmp_path: Path) -> None:
    write_cohort(tmp_path / "raw", Request("ct-rate", 1, 4, "tiny", organs=True))
    path = next((tmp_path / "raw").rglob("*_organs.nii.gz"))
    image = nib.load(path)
    voxels = np.asarray(image.dataobj)
    for change, reason in (((slice(1, None),), "mask-grid"), ((), "mask-place")):
        affine = image.affine.copy()
        affine[0, 3] += 0 if change else 30
        nib.save(nib.Nifti1Image(voxels[change], affine), path)
        ingest(tmp_path / "raw", "ct-rate", tmp_path / reason, SPACING)
        cohort = open_cohort(tmp_path / reason)
        assert [study.has_mask for study in cohort] == [False]
        assert reason in cohort.ledger["reason"].to_list()


def test_the_text_of_an_organ_is_its_conclusion_and_its_description() -> None:
    assert OrganText("Clear.", "A nodule").text == "A nodule. Clear."
    assert not OrganText("Clear.", "A nodule").is_normal
    assert OrganText("A nodule.", "").is_normal  # what the conclusion does not name


def test_sentences_go_to_the_organs_that_they_name() -> None:
    said = "The heart is large. Calcification of the aorta and of coronary arteries. A thyroid nodule. "
    said += "No pleural effusion."
    found = split_by_words(said, ("lung", "heart", "esophagus", "aorta"))
    assert found["lung"] == "No pleural effusion."
    assert found["heart"] == "The heart is large. Calcification of the aorta and of coronary arteries."
    assert found["aorta"] == "Calcification of the aorta and of coronary arteries."
    assert found["esophagus"] == ""


def test_our_words_agree_with_the_real_texts(real_data: Path) -> None:
    """A twentieth of them, for time; docs/methods.md has the figures of all."""
    told = json.loads((real_data / "ctrate" / "val_desc_info.json").read_text())
    scans = list(told.values())[::20]
    for organ, least in (("lung", 0.9), ("heart", 0.85), ("esophagus", 0.9), ("aorta", 0.8)):
        both = [bool(split_by_words(of["Findings"], (organ,))[organ]) == bool(of.get(organ)) for of in scans]
        assert np.mean(both) > least


@pytest.mark.parametrize("given", [False, True])
def test_pretrain_says_where_its_texts_are_from_and_a_model_embeds(
    simcrop: Callable, home: Path, tmp_path: Path, given: bool
) -> None:
    files = [
        f"organs.{n}={home / 'raw' / f}"
        for n, f in (("descriptions", "desc_info.json"), ("conclusions", "conc_info.json"))
    ]
    further = settings(*files) if given else settings()
    ran = simcrop(
        "pretrain",
        home / "cohort",
        "--recipe",
        "fvlm-tiny",
        "--out",
        tmp_path / "run",
        "--set",
        "data.split=",
        *further,
    )
    assert ran.code == 0, ran
    fact = json.loads((tmp_path / "run" / "run.json").read_text())["organ_texts"]
    assert ("desc_info.json and conc_info.json" if given else "keyword splitter") in fact
    assert fact.replace("'", "&#x27;") in (tmp_path / "run" / "report.html").read_text()
    if given:
        assert simcrop("embed", tmp_path / "run", home / "cohort", "--out", tmp_path / "features").code == 0


@pytest.mark.parametrize(
    ("impression", "words"),
    [("", "has an impression"), ("Findings within normal limits.", "every organ counts as normal")],
)
def test_a_cohort_of_which_no_organ_is_known_to_be_abnormal_is_refused(
    simcrop: Callable, home: Path, tmp_path: Path, impression: str, words: str
) -> None:
    shutil.copytree(home / "cohort", tmp_path / "cohort", ignore=shutil.ignore_patterns("sentences"))
    table = tmp_path / "cohort" / "studies.parquet"
    pl.read_parquet(table).with_columns(pl.lit(impression).alias("impression")).write_parquet(table)
    start = ("--recipe", "fvlm-tiny", "--out", tmp_path / "run", "--set", "data.split=")
    assert words in simcrop("pretrain", tmp_path / "cohort", *start, *settings()).refusal
    assert not (tmp_path / "run").exists()


def test_texts_of_other_scans_and_cohorts_without_maps_are_refused(
    simcrop: Callable, home: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"valid_9999_z": {"lung": "clear"}}))
    files = settings(f"organs.descriptions={other}", f"organs.conclusions={other}")
    start = ("--recipe", "fvlm-tiny", "--out", tmp_path / "run")
    assert "it is for other scans" in simcrop("pretrain", home / "cohort", *start, *files).refusal
    other.write_text("[]")
    assert "expected scan ->" in simcrop("pretrain", home / "cohort", *start, *files).refusal
    assert "has a mask to learn from" in simcrop("pretrain", toy_cohort, *start, *settings()).refusal
    assert (
        "come together"
        in simcrop("pretrain", home / "cohort", *start, *settings("organs.descriptions=a.json")).refusal
    )
    assert not (tmp_path / "run").exists()
    assert (
        "organ maps are written with"
        in simcrop("phantom", tmp_path / "p", "--layout", "btcv", "--organs").refusal
    )
