"""A phantom cohort in CT-RATE's tree, ingested: raw numbers with a table beside them give what repaired files give."""

from pathlib import Path

import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.layouts.drawn import PHANTOM
from simcrop.data.store.cohort import Cohort, open_cohort, read_facts
from simcrop.phantom import write_ct_rate


def ingested(folder: Path, release: str, seed: int) -> Cohort:
    write_ct_rate(folder / "raw", 3, seed, "tiny", release)  # pyright: ignore[reportArgumentType]
    assert ingest(folder / "raw", "ct-rate", folder / "cohort").refused == 0
    return open_cohort(folder / "cohort")


@pytest.mark.parametrize("hidden", [False, True])
def test_cohort_remembers_that_its_scans_were_drawn(tmp_path: Path, hidden: bool) -> None:
    write_ct_rate(tmp_path / "raw", 1, 0, "tiny", "v2")
    ingest(tmp_path / "raw", "ct-rate", tmp_path / "cohort", pseudonymise=hidden)
    assert read_facts(tmp_path / "cohort")["made_by"] == PHANTOM
    (tmp_path / "raw/truth/phantom.json").unlink()
    ingest(tmp_path / "raw", "ct-rate", tmp_path / "patients")
    assert "made_by" not in read_facts(tmp_path / "patients")


@pytest.mark.parametrize("seed", [0, 1, 2])  # of 1 and 2 one scan is padded below zero
def test_raw_and_repaired_releases_give_the_same_cohort(tmp_path: Path, seed: int) -> None:
    raw, repaired = ingested(tmp_path / "v1", "v1", seed), ingested(tmp_path / "v2", "v2", seed)
    assert [s.id for s in raw] == [s.id for s in repaired] == ["train_1_a_1", "train_2_a_1", "valid_1_a_1"]
    assert {(s.hu_decision or {})["intercept"] for s in raw} <= {-1024, -8192}
    assert {(s.hu_decision or {})["intercept"] for s in repaired} == {0}
    for one, other in zip(raw, repaired, strict=True):
        np.testing.assert_array_equal(one.read(), other.read())
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-3)
    assert raw.index["split"].to_list() == ["train", "train", "valid"]
    assert len(raw.labels) == 18
    assert all(raw.index["sentences"] > 2)
