"""Scans mirrored under reports that name a side: said in a line, once, before the first step. No axes or units."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from simcrop.config import build_recipe, load_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.tasks.training.mirrored import mirrored_words
from simcrop.tasks.training.pretrain import pretrain

MIRROR = "aug.flip_lr=true"


def test_mirrored_scans_beside_reports_that_name_a_side_are_said(toy_cohort: Path) -> None:
    studies = open_cohort(toy_cohort)
    assert "reports that say left or right" in mirrored_words(studies, load_recipe("simcrop-tiny", [MIRROR]))
    assert mirrored_words(studies, load_recipe("simcrop-tiny")) == ""
    assert mirrored_words(studies, load_recipe("mae-tiny", [MIRROR])) == ""


def test_reports_without_a_side_are_not_spoken_of(toy_cohort: Path) -> None:
    studies = open_cohort(toy_cohort)
    plain = [pl.lit("The heart is large.").alias("findings"), pl.lit(None, pl.String).alias("impression")]
    studies = replace(studies, index=studies.index.with_columns(plain))
    assert mirrored_words(studies, load_recipe("simcrop-tiny", [MIRROR])) == ""


def test_pre_training_says_it(
    toy_tree: dict[str, Any], toy_cohort: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tree = {**toy_tree, "optim": {**toy_tree["optim"], "steps": 1}, "aug": {"flip_lr": True}}
    pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")
    assert "pretrain: aug.flip_lr mirrors half of the scans" in capfd.readouterr().err
