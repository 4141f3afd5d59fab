"""A scan whose voxels were exchanged is read again, whatever its header calls the file in which they lie."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.ingest.job import files_of
from simcrop.data.store.cohort import open_cohort

MHD = """ObjectType = Image
NDims = 3
DimSize = {}
ElementSpacing = 2 2.5 4
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 7 8 9
ElementType = MET_SHORT
ElementDataFile = {}
"""
NHDR = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: {}
space directions: (2,0,0) (0,2.5,0) (0,0,4)
space origin: (7,8,9)
endian: little
encoding: raw
data file: {}

"""


@pytest.mark.parametrize(("header", "text"), [("ct.mhd", MHD), ("ct.nhdr", NHDR)])
def test_voxels_exchanged_behind_a_header_are_noticed(
    tmp_path: Path, header: str, text: str, scan: Callable[..., np.ndarray]
) -> None:
    raw, data = tmp_path / "raw", tmp_path / "raw/voxels/other.bin"
    data.parent.mkdir(parents=True)
    sums = list[str]()
    (raw / header).write_text(text.format(" ".join(map(str, scan(1).shape)), "voxels/other.bin"))
    for seed in (1, 2):
        data.write_bytes(scan(seed).tobytes(order="F"))
        assert ingest(raw, "folder", tmp_path / "c").resumed == 0
        assert ingest(raw, "folder", tmp_path / "c").resumed == 1
        sums.append(open_cohort(tmp_path / "c").index["checksum"][0])
    assert sums[0] != sums[1]


def test_files_of_one_stem_are_asked_once_and_in_the_order_of_older_cohorts(tmp_path: Path) -> None:
    path = tmp_path / "ct.mhd"
    path.write_text(MHD.format("1 1 1", "ct.zraw"))
    (tmp_path / "ct.zraw").write_bytes(b"1")
    assert [one.name for one in files_of(path)] == ["ct.mhd", "ct.raw", "ct.zraw"]
    path.write_text(MHD.format("1 1 1", "gone.zraw"))
    assert [one.name for one in files_of(path)] == ["ct.mhd", "ct.raw", "ct.zraw"]
