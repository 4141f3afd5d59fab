"""kill -9 at twenty random moments of an ingest with four workers: the continued store is that of an undisturbed one.

Axes: x, y, z with 19, 17, 13 voxels at 3.0, 2.5, 4.0 mm.
"""

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.store.cohort import open_cohort

pytestmark = pytest.mark.limit(1200)
KILLS = 20
SHAPE = (19, 17, 13)
SPACING_MM = (6.0, 5.0, 9.0)  # as in killing.py


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Sixty scans with reports, one of them broken."""
    raw = tmp_path / "raw"
    for i in range(60):
        hu = np.full(SHAPE, -1000.0)
        hu[3:-3, 3:-3] = 40
        hu[5:9, 5:-5] = -850
        hu += np.random.default_rng(i).normal(0, 15, SHAPE)
        (raw / f"p{i}").mkdir(parents=True)
        nib.Nifti1Image(hu.astype(np.int16), np.diag([-3.0, -2.5, 4.0, 1.0])).to_filename(
            raw / f"p{i}/ct.nii.gz"
        )
    broken = raw / "p7/ct.nii.gz"
    broken.write_bytes(broken.read_bytes()[:900])
    (raw / "reports.csv").write_text("id,findings\n" + "".join(f"p{i}__ct,Finding {i}.\n" for i in range(50)))
    return raw


def content(cohort: Path) -> dict[str, object]:
    """Everything in a cohort but its journal, whose lines stand in the order in which scans were finished."""
    files = {str(p.relative_to(cohort)): p for p in sorted(cohort.rglob("*")) if p.is_file()}
    tables = {
        name: pl.read_parquet(files.pop(name)).to_dicts() for name in list(files) if name.endswith(".parquet")
    }
    return tables | {name: p.read_bytes() for name, p in files.items() if name != "ingest.jsonl"}


def test_store_killed_at_twenty_random_moments_is_the_undisturbed_one(source: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    ingest(source, "folder", whole, SPACING_MM)
    script = Path(__file__).with_name("killing.py")
    command = [sys.executable, str(script), str(source), str(killed), str(KILLS), "5"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    moments = [line.split() for line in done.stdout.splitlines()]
    assert len(moments) == KILLS
    assert {whom for _, whom in moments} == {"worker", "parent", "all"}
    assert len({lines for lines, _ in moments}) > KILLS // 3, moments

    result = ingest(source, "folder", killed, SPACING_MM)
    assert (result.taken, result.refused) == (59, 1)
    assert result.resumed > 0
    assert content(killed) == content(whole)
    assert list(open_cohort(killed).verify()) == []
