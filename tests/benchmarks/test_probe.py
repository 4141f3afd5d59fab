"""`benchmarks/probe.py`: forwards by arithmetic and by counting, and a made-up cohort that the command takes."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest


@pytest.fixture
def probe(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("probe")


def test_public_script_encodes_what_its_settings_say(probe: ModuleType) -> None:
    """Five scans in batches of two are three steps, so seven steps are three epochs; judged after ten epochs only."""
    few, many = probe.Fit(5, 4, 2, 7), probe.Fit(5, 4, 2, 36)
    assert (few.epochs, few.forwards) == (3, 15)
    assert (many.epochs, many.forwards) == (12, 12 * 5 + 2 * 4)


def test_ratios_of_ct_rate_reach_their_bars(probe: ModuleType) -> None:
    """One seed of one head, the least that can be asked of either; more are free for ours alone."""
    one, five = (probe.arithmetic(probe.PUBLIC, seeds) for seeds in (1, 5))
    assert one["ours_1_views"] == 46_363 + 3009
    assert one["ratio_1_views"] >= 35
    assert one["ratio_8_views"] >= 5
    assert five["ratio_8_views"] == pytest.approx(5 * one["ratio_8_views"], rel=1e-3)


def test_encoder_that_counts_agrees_with_the_arithmetic(probe: ModuleType, tmp_path: Path) -> None:
    found = probe.counted(tmp_path)
    assert found["train"] > 0
    assert [seen for seen, _ in found["ours"].values()] == [
        expected for _, expected in found["ours"].values()
    ]
    assert found["public"][0] == found["public"][1] > 100


def test_made_up_cohort_is_one_that_the_command_takes(
    probe: ModuleType, simcrop: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "LABELS", 3)
    monkeypatch.setattr(probe, "WIDTH", 6)
    made, cohort = probe.write_features(tmp_path, 200, 80)
    assert simcrop("probe", made, cohort, "--out", tmp_path / "out").code == 0
    table = pl.read_parquet(cohort / "studies.parquet")
    assert dict(table["split"].value_counts().iter_rows()) == {"train": 200, "valid": 80}
    assert not set(table.filter(split="train")["patient"]) & set(table.filter(split="valid")["patient"])


def test_a_probe_is_fitted_in_both_ways_and_left_as_it_was(probe: ModuleType) -> None:
    from simcrop.evaluation.heads import probe as fitted

    before = fitted.fit_logistic
    found = probe.awake(scans=60, rounds=1)
    assert found["ours"] > 0
    assert found["naive"] > 0
    assert fitted.fit_logistic is before
