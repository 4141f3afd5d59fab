"""A raw folder of small scans with reports, two of them with masks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def source(
    tmp_path: Path, scan: Callable[..., np.ndarray], save: Callable[..., Path], lungs: np.ndarray
) -> Path:
    for i in range(5):
        save(tmp_path / f"raw/patient{i}/ct.nii.gz", scan(i))
    for i in (1, 3):
        save(tmp_path / f"raw/patient{i}/ct_mask.nii.gz", lungs)
    (tmp_path / "raw/reports.csv").write_text(
        "id,findings,impression,split,label:Emphysema\n"
        "patient0__ct,A nodule. No effusion.,Nodule.,train,1\n"
        "patient1__ct,Clear lungs.,,valid,\n"
    )
    return tmp_path / "raw"
