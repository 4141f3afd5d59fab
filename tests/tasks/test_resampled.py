"""A cohort that is not stored as a network reads it is said to be so. Spacings in mm."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from simcrop.config import load_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.tasks.resampled import resampled_words


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ((14.0, 12.0, 24.0), ""),
        (
            (14.0, 12.0, 30.0),
            "read at 14 x 12 x 24: every scan is resampled each time, and what is finer is lost; ",
        ),
        (
            (7.0, 12.0, 24.0),
            "read at 14 x 12 x 24: every scan is resampled each time; simcrop ingest --spacing 14,12,24",
        ),
    ],
)
def test_another_spacing_is_named_with_what_spares_the_work(
    toy_cohort: Path, stored: tuple[float, float, float], said: str
) -> None:
    spec = load_recipe("simcrop-tiny", ["input.spacing_mm=[14, 12, 24]"]).input.spec
    words = resampled_words(replace(open_cohort(toy_cohort), spacing_mm=stored), spec)
    assert said in words
    assert bool(words) == bool(said)


def test_pre_training_and_embedding_say_it(simcrop: Callable, line, toy_cohort: Path, tmp_path: Path) -> None:
    ran = simcrop("embed", line.run, toy_cohort, "--out", tmp_path / "embedded")
    assert ran.code == 0
    assert f"{toy_cohort} is stored at 14 x 12 x 24 mm" in ran.err
    assert "is stored at" not in simcrop("embed", line.run, line.cohort, "--out", tmp_path / "as-read").err
