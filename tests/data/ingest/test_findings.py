"""Masks of findings go into the cohort as the data set has them: overlaps, instances, and on their sides.

Axes: f finding; x, y, z voxels of the scan's file, 11, 13, 17 of them.
"""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.findings import MarkedFinding, read_findings
from simcrop.errors import SimcropError
from simcrop.phantom import Request, read_truth, write_cohort
from simcrop.phantom.layouts import rexgrounding
from simcrop.phantom.patient import draw_patient

SHAPE, SEED, PATIENTS = (11, 13, 17), 7, 6
AFFINE = np.diag([-2.0, -2.5, 4.0, 1.0])


def masks(count: int = 3) -> np.ndarray:
    """Three findings: two instances that touch, one that overlaps both, and one voxel in a corner."""
    found = np.zeros((3, *SHAPE), np.int16)
    found[0, 2:4, 3:6, 5:8], found[0, 4:6, 3:6, 5:8] = 1, 2
    found[1, 3:5, 4:9, 6:11] = 4
    found[2, 10, 0, 16] = 1
    return found[:count]


def entry(found: np.ndarray, name: str = "train_1_a_1", **other: object) -> dict[str, object]:
    return {
        "name": f"{name}.nii.gz",
        "findings": {str(i): f"Finding {i} in the lung." for i in range(len(found))},
        "categories": {str(i): ("2d", "1c", "2e")[i] for i in range(len(found))},
        "pixels": {str(i): int((one > 0).sum()) for i, one in enumerate(found)},
        **other,
    }


@pytest.fixture
def raw(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tree of one scan and its masks; `listed` is what the JSON says."""

    def write(
        found: np.ndarray, listed: dict[str, list[dict[str, object]]], affine: np.ndarray = AFFINE
    ) -> Path:
        root = tmp_path / "raw"
        (root / "segmentations").mkdir(parents=True, exist_ok=True)
        hu = np.random.default_rng(0).normal(-300, 400, SHAPE).astype(np.int16)
        nib.Nifti1Image(hu, affine).to_filename(root / "train_1_a_1.nii.gz")
        nib.Nifti1Image(found, np.eye(4)).to_filename(root / "segmentations" / "train_1_a_1.nii.gz")
        (root / "dataset.json").write_text(json.dumps(listed))
        return root

    return write


def stored(root: Path, out: Path) -> tuple[Cohort, tuple[MarkedFinding, ...]]:
    assert ingest(root, "rexgrounding", out, (3.0, 3.0, 5.0)).taken == 1
    cohort = open_cohort(out)
    return cohort, read_findings(cohort)["train_1_a_1"]


@pytest.mark.parametrize("kind", ["uint8", "int16", "float64"])
def test_findings_that_overlap_and_touch_come_back_voxel_by_voxel(
    raw: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    cohort, findings = stored(raw(masks().astype(kind), {"val": [entry(masks())]}), tmp_path / "c")
    labels = cohort[0].source_mask()
    for finding, truth in zip(findings, masks(), strict=True):
        np.testing.assert_array_equal(finding.instances_in(labels), truth)
        assert finding.complete
        np.testing.assert_array_equal(finding.states_in(labels), truth > 0)
    assert [finding.focal for finding in findings] == [True, False, True]
    assert [finding.text for finding in findings] == [f"Finding {i} in the lung." for i in range(3)]
    assert cohort.classes == {}
    assert list(cohort.verify()) == []


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (-1, -1, 1)])
def test_on_the_stored_grid_each_voxel_has_the_finding_at_its_place_in_the_patient(
    raw: Callable[..., Path], tmp_path: Path, flips: tuple[int, int, int]
) -> None:
    affine = np.diag([*(2.0 * flips[0], 2.5 * flips[1], 4.0 * flips[2]), 1.0])
    cohort, findings = stored(raw(masks(), {"val": [entry(masks())]}, affine), tmp_path / "c")
    study, labels = cohort[0], cohort[0].mask()
    for finding, truth in zip(findings[:2], masks(), strict=False):
        middle = [
            (a @ np.append(np.argwhere(mask).mean(0), 1))[:3]
            for a, mask in ((study.affine, finding.instances_in(labels) > 0), (affine, truth > 0))
        ]
        assert np.abs(middle[0] - middle[1]).max() < 2.0  # mm; the middle of the scan is 5 or more away


def test_labels_of_train_are_partial_and_unmarked_voxels_unknown(
    raw: Callable[..., Path], tmp_path: Path
) -> None:
    cohort, findings = stored(raw(masks(), {"train": [entry(masks())]}), tmp_path / "c")
    states = findings[0].states_in(cohort[0].source_mask())
    assert not findings[0].complete
    assert set(np.unique(states)) == {-1, 1}
    np.testing.assert_array_equal(states == 1, masks()[0] > 0)


def test_one_finding_may_lack_its_axis_and_a_withheld_mask_leaves_the_sentences(
    raw: Callable[..., Path], tmp_path: Path
) -> None:
    root = raw(masks(1)[0], {"test": [entry(masks(1))]})
    cohort, findings = stored(root, tmp_path / "a")
    np.testing.assert_array_equal(findings[0].instances_in(cohort[0].source_mask()), masks()[0])
    (root / "segmentations" / "train_1_a_1.nii.gz").unlink()
    cohort, findings = stored(root, tmp_path / "b")
    assert (cohort[0].has_mask, findings[0].values, cohort[0].split) == (False, (), "test")
    assert set(np.unique(findings[0].states_in(np.zeros(SHAPE, np.int16)))) == {-1}


@pytest.mark.parametrize(
    ("found", "listed", "reason", "words"),
    [
        (masks().transpose(0, 3, 2, 1), masks(), "mask-grid", "3 x 17 x 13 x 11 voxels, expected 3 x"),
        (masks().transpose(1, 2, 3, 0), masks(), "mask-grid", "11 x 13 x 17 x 3 voxels"),
        (masks(2), masks(), "mask-channels", "2 masks of 3 listed findings"),
        (masks()[::-1], masks(), "mask-channels", "another order than the findings"),
        (masks() * np.float32(0.5), masks(), "mask-numbers", "whole numbers"),
        (-masks(), masks(), "mask-numbers", "whole numbers"),
        (masks() * 0, masks(), "mask-empty", "finding 0 marks nothing"),
    ],
)
def test_masks_that_do_not_fit_are_refused_with_a_reason_and_the_scan_is_taken(
    raw: Callable[..., Path], tmp_path: Path, found: np.ndarray, listed: np.ndarray, reason: str, words: str
) -> None:
    root = raw(np.ascontiguousarray(found), {"val": [entry(listed)]})
    done = ingest(root, "rexgrounding", tmp_path / "c", (3.0, 3.0, 5.0))
    assert (done.taken, done.refused) == (1, 1)
    (row,) = open_cohort(tmp_path / "c").ledger.filter(pl.col("status") == "refused").iter_rows(named=True)
    assert row["reason"] == reason
    assert words in row["sentence"]


def test_a_torn_mask_is_refused_and_other_counts_than_listed_are_noted(
    raw: Callable[..., Path], tmp_path: Path
) -> None:
    listed = entry(masks(), pixels={"0": 36, "1": 49, "2": 1})
    root = raw(masks(), {"val": [listed]})
    stored(root, tmp_path / "c")
    (row,) = open_cohort(tmp_path / "c").ledger.iter_rows(named=True)
    assert "1 of 3 findings have another number of voxels than listed" in row["sentence"]
    path = root / "segmentations" / "train_1_a_1.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])
    ingest(root, "rexgrounding", tmp_path / "d", (3.0, 3.0, 5.0))
    assert "truncated-file" in open_cohort(tmp_path / "d").ledger["reason"].to_list()


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cohort]:
    home = tmp_path_factory.mktemp("rex")
    write_cohort(home / "raw", Request("rexgrounding", PATIENTS, SEED, "tiny", "easy"))
    ingest(home / "raw", "rexgrounding", home / "cohort", (6.0, 5.0, 11.0))
    return home / "raw", open_cohort(home / "cohort")


def test_a_phantoms_masks_are_what_was_painted_and_lie_on_the_side_that_their_sentence_names(
    phantom: tuple[Path, Cohort],
) -> None:
    raw, cohort = phantom
    truth, findings, seen = read_truth(raw), read_findings(cohort), set[str]()
    for study in cohort:
        painted = nib.load(truth.mask_path(study.id))
        assert painted.shape == study.source_shape
        for finding, sentence in zip(findings[study.id], truth.of(study.id), strict=True):
            assert finding.category == rexgrounding.CATEGORY_OF[sentence.finding]
            if not study.has_mask:
                continue
            found = finding.instances_in(study.source_mask())
            everything = np.asarray(painted.dataobj) == sentence.mask_value
            assert not (found[~everything] > 0).any()
            if finding.complete or found.max() < rexgrounding.MOST_MARKED:
                np.testing.assert_array_equal(found > 0, everything)
            if sentence.side in ("left", "right"):
                inside = np.argwhere(finding.instances_in(study.mask()) > 0)  # x runs to the right
                if len(inside):
                    right = inside[:, 0].mean() > (study.shape[0] - 1) / 2
                    assert right == (sentence.side == "right")
                    seen.add(sentence.side)
    assert seen == {"left", "right"}


def test_a_phantoms_train_masks_hold_three_instances_at_most_and_val_all(
    phantom: tuple[Path, Cohort],
) -> None:
    raw, _ = phantom
    lists = json.loads((raw / "dataset.json").read_text())
    assert [len(lists[name]) > 0 for name in ("train", "val", "test")] == [True, True, True]
    for row in lists["test"]:
        assert "pixels" not in row
        assert not (raw / "segmentations" / row["name"]).exists()
    for row in (*lists["train"], *lists["val"]):
        image = nib.load(raw / "segmentations" / row["name"])
        found = np.asarray(image.dataobj)
        assert list(found.shape) == [len(row["findings"]), *row["shape"]]
        assert found.reshape(len(found), -1).max(1).tolist() == list(row["entity_counts"].values())
        np.testing.assert_array_equal(image.affine, np.eye(4))
    assert all(n <= 3 for row in lists["train"] for n in row["entity_counts"].values())


def test_more_than_three_instances_are_cut_in_train_alone() -> None:
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[::4, 0, ::4] = 5  # nine pieces
    assert rexgrounding.channels_of(labels, [5]).max() == 9
    assert rexgrounding.list_of(draw_patient(SEED, 1)) == "train"


def test_another_cohort_marks_no_sentences(toy_cohort: Path) -> None:
    with pytest.raises(SimcropError, match="marks no sentences"):
        read_findings(open_cohort(toy_cohort))
