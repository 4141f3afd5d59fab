"""The root of a data set is not taken for a folder of scans, nor a folder of scans for a data set. No axes or units."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from simcrop.data.layouts import LAYOUTS, list_studies
from simcrop.data.layouts.marks import MARKS, refuse_known
from simcrop.errors import SimcropError

OWN = ("folder", "dicom")
KNOWN = sorted(set(LAYOUTS) - set(OWN))


def test_every_layout_has_a_mark() -> None:
    assert sorted({name for names in MARKS for name in names.split()}) == KNOWN


@pytest.mark.parametrize("layout", sorted(set(KNOWN) - {"decathlon", "btcv"}))
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
    write(tmp_path / "dataset.json", "[" * 200_000)  # deeper than anyone can follow
    refuse_known(tmp_path)
    write(tmp_path / "dataset" / "train" / "case_ct_1.nii.gz")
    write(tmp_path / "dataset" / "train" / "train_1" / "a.nii.gz")
    write(tmp_path / "dataset" / "valid" / "p01" / "valid_1_a" / "a.nii.gz")
    refuse_known(tmp_path)


PAIRS = {"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}


def test_a_list_of_scans_and_masks_is_a_mark_unless_the_layout_folder_reads_it_itself(tmp_path: Path) -> None:
    for name in ("dataset.json", "dataset_0.json"):
        write(tmp_path / name, json.dumps(PAIRS))
        with pytest.raises(SimcropError, match="--layout decathlon or --layout btcv, or --layout folder"):
            refuse_known(tmp_path)
    write(tmp_path / "dataset.json", json.dumps(PAIRS | {"labels": {"0": "background", "1": "liver"}}))
    refuse_known(tmp_path)


@pytest.mark.parametrize(
    "inside",
    [
        "train/train_1/train_1_a/train_1_a_1.nii.gz",
        "valid/valid_12/valid_12_b/valid_12_b_2.nii.gz",
        "train/train_1_a_1.nii.gz",
        "radiology_text_reports/train_reports.csv",
        "multi_abnormality_labels/train_predicted_labels.csv",
    ],
)
def test_ct_rate_is_known_by_its_raw_trees_and_by_tables_below_dataset(tmp_path: Path, inside: str) -> None:
    write(tmp_path / "dataset" / inside)
    with pytest.raises(SimcropError, match="looks like CT-RATE: choose --layout ct-rate"):
        refuse_known(tmp_path)


def test_without_a_layout_masks_and_classes_of_a_phantom_of_btcv_are_taken_and_no_mask_is_a_scan(
    simcrop: Callable, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    assert simcrop("phantom", raw, "--layout", "btcv", "--patients", 3).code == 0
    refuse_known(raw)
    plain, named = list_studies("folder", raw), list_studies("btcv", raw)
    assert [study.mask for study in plain.studies] == [study.mask for study in named.studies]
    assert [study.path for study in plain.studies] == [study.path for study in named.studies]
    assert len({study.patient for study in plain.studies}) == len(plain.studies) == 3
    assert (plain.classes, plain.refusals) == (named.classes, ())
