"""The root of a data set is not taken for a folder of scans, nor a folder of scans for a data set. No axes or units."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from simcrop.data.layouts import LAYOUTS
from simcrop.data.layouts.marks import MARKS, refuse_known
from simcrop.errors import SimcropError

OWN = ("folder", "dicom")
KNOWN = sorted(set(LAYOUTS) - set(OWN))


def test_every_layout_has_a_mark() -> None:
    assert sorted({name for names in MARKS for name in names.split()}) == KNOWN


@pytest.mark.parametrize("layout", sorted(set(KNOWN) - {"decathlon"}))
def test_a_data_set_is_known_by_its_root(simcrop: Callable, tmp_path: Path, layout: str) -> None:
    raw, cohort = tmp_path / "raw", tmp_path / "cohort"
    assert simcrop("phantom", raw, "--layout", layout, "--patients", 3).code == 0
    said = simcrop("ingest", raw, "--out", cohort)
    assert f"--layout {layout}" in said.refusal
    assert not cohort.exists()


def test_a_folder_of_scans_is_taken_and_so_is_a_data_set_whose_layout_is_named(
    simcrop: Callable, tmp_path: Path
) -> None:
    for layout in ("folder", "ct-rate"):
        assert simcrop("phantom", tmp_path / layout, "--layout", layout, "--patients", 2).code == 0
    assert simcrop("ingest", tmp_path / "folder", "--out", tmp_path / "a").code == 0
    named = simcrop("ingest", tmp_path / "ct-rate", "--out", tmp_path / "b", "--layout", "folder")
    assert named.code == 0


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_names_that_others_use_too_are_no_mark(tmp_path: Path) -> None:
    write(tmp_path / "Normal" / "a.nii.gz")
    write(tmp_path / "CP" / "a.nii.gz")
    write(tmp_path / "subset1" / "a.nii.gz")
    write(tmp_path / "dataset.json", json.dumps({"numTraining": 2, "channel_names": {"0": "CT"}}))
    write(tmp_path / "dataset" / "scans" / "a.nii.gz")
    refuse_known(tmp_path)
    write(tmp_path / "dataset.json", "{")
    refuse_known(tmp_path)
    refuse_known(tmp_path / "nowhere")
    write(tmp_path / "dataset.json", json.dumps({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}))
    with pytest.raises(SimcropError, match="--layout decathlon or --layout btcv, or --layout folder"):
        refuse_known(tmp_path)
