"""Small scans of our own on disk, and all of a cohort that must not depend on how it was made.

Axes: x, y, z with 29, 23, 17 voxels at 2.0, 2.5, 4.0 mm.
"""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

SHAPE = (29, 23, 17)


def chest(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Air round a soft body with lungs, int16 HU, different for each seed."""
    hu = np.full(shape, -1000.0)
    hu[4:-4, 4:-4] = 40
    hu[7:12, 7:-7] = -850
    return (hu + np.random.default_rng(seed).normal(0, 15, shape)).astype(np.int16)


def save_scan(path: Path, hu: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(hu, np.diag([-2.0, -2.5, 4.0, 1.0]) if affine is None else affine).to_filename(path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for i in range(5):
        save_scan(tmp_path / f"raw/patient{i}/ct.nii.gz", chest(i))
    (tmp_path / "raw/reports.csv").write_text(
        "id,findings,impression,split,label:Emphysema\n"
        "patient0__ct,A nodule. No effusion.,Nodule.,train,1\n"
        "patient1__ct,Clear lungs.,,valid,\n"
    )
    return tmp_path / "raw"


def content_of(cohort: Path) -> dict[str, object]:
    """Everything in a cohort that must not depend on how it was made."""
    volumes = {p.name: p.read_bytes() for p in sorted((cohort / "volumes").iterdir())}
    tables = {name: pl.read_parquet(cohort / f"{name}.parquet").to_dicts() for name in ("studies", "ledger")}
    raw = {p.name: p.read_bytes() for p in cohort.iterdir() if p.is_file() and p.name != "ingest.jsonl"}
    return {"volumes": volumes, **tables, **raw}


@pytest.fixture(scope="session")
def scan() -> Callable[..., np.ndarray]:
    """Writers and readers as fixtures; a test file cannot import from its own conftest."""
    return chest


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    return save_scan


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, object]]:
    return content_of
