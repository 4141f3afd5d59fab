"""Every layout there and back: a phantom written, listed and ingested is the same patient, the same way round."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.layouts import RawStudy, list_studies
from simcrop.data.layouts.luna16 import read_annotations
from simcrop.data.layouts.rad_chestct import CLASSES
from simcrop.data.readers import read_stored, read_volume
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.phantom import Request, Truth, read_truth, write_cohort
from simcrop.phantom.anatomy.chest import LEFT_LUNG, RIGHT_LUNG
from simcrop.phantom.cohort import TREES
from simcrop.phantom.findings.finding import LABELS
from simcrop.phantom.layouts import btcv, cc_ccii, folder, luna16, rad_chestct, rexgrounding
from simcrop.phantom.organs import lung_labels, organ_labels
from simcrop.phantom.patient import Patient, draw_patient

PATIENTS, SEED, SIZE = 4, 7, "tiny"
FOCAL = {"Lung nodule", "Consolidation", "Pleural effusion", "Atelectasis", "Lung opacity"}


@dataclass(frozen=True)
class There:
    """One layout: its raw tree, its truth, what is listed, and the cohort it became."""

    layout: str
    raw: Path
    truth: Truth
    listed: dict[str, RawStudy]
    cohort: Cohort

    def drawn(self) -> Iterator[tuple[str, Patient, str]]:
        """Id, patient and grid of every volume that must be there."""
        for number in range(1, PATIENTS + 1):
            patient = draw_patient(SEED, number, "easy")
            if self.layout == "rexgrounding":
                patient = rexgrounding.in_lungs(patient)
                if patient.findings:
                    yield rexgrounding.volume_of(patient), patient, SIZE
            elif self.layout == "cc-ccii":
                for scan, grid in cc_ccii.scans_of(patient, SIZE).items():
                    yield cc_ccii.volume_of(patient, scan), patient, grid
            else:
                names = {
                    "ct-rate": patient.volumes[0],
                    "rad-chestct": rad_chestct.volume_of(patient),
                    "luna16": luna16.uid_of(patient),
                    "btcv": f"btcv_{number:03d}",
                    "folder": folder.volume_of(patient),
                }
                grid = {"rad-chestct": "tiny-isotropic", "btcv": "tiny-abdomen"}.get(self.layout, SIZE)
                seen = btcv.in_view(patient, SIZE) if self.layout == "btcv" else patient
                yield names[self.layout], seen, grid


@pytest.fixture(scope="module", params=list(TREES))
def there(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> There:
    layout: str = request.param
    home = tmp_path_factory.mktemp(layout)
    count = write_cohort(home / "raw", Request(layout, PATIENTS, SEED, SIZE, "easy"))
    listing = list_studies(layout, home / "raw")
    assert listing.refusals == ()
    assert len(listing.studies) == count
    done = ingest(home / "raw", layout, home / "cohort", (6.0, 5.0, 11.0))
    assert (done.taken, done.refused) == (count, 0)
    listed = {study.id: study for study in listing.studies}
    return There(layout, home / "raw", read_truth(home / "raw"), listed, open_cohort(home / "cohort"))


def ras(voxels: np.ndarray) -> np.ndarray:
    """A phantom's `(z, y, x)` array, whose x runs left and y back, as `(x, y, z)` with x right and y front."""
    return voxels.transpose(2, 1, 0)[::-1, ::-1]


@cache
def drawn_ras(number: int, grid: str, healthy: bool = False) -> np.ndarray:
    """The patient as drawn, with the findings or without."""
    patient = draw_patient(SEED, number, "easy")
    if grid == "tiny-abdomen":
        patient = btcv.in_view(patient, SIZE)
    return ras((replace(patient, findings=()) if healthy else patient).scans(grid)[0][0])


def as_kept(layout: str, hu: np.ndarray) -> np.ndarray:
    """What a layout's own precision leaves of these HU; padding is air."""
    hu = np.where(hu < -1500, -1000, hu)
    return hu.clip(-1000, 1000) if layout == "rad-chestct" else hu.clip(-1250, 250) if "cc" in layout else hu


def test_every_voxel_comes_back_to_its_place_with_its_density(there: There) -> None:
    tolerance = 1500 / 255 / 2 + 0.01 if there.layout == "cc-ccii" else 0
    for name, patient, grid in there.drawn():
        study = there.listed[name]
        volume = read_volume(study.path, study.hint).to_ras()
        wanted = as_kept(there.layout, drawn_ras(patient.number, grid))
        np.testing.assert_allclose(volume.hu, wanted, atol=tolerance)


def test_voxels_have_the_size_they_were_drawn_with(there: There) -> None:
    for name, patient, grid in there.drawn():
        study = there.listed[name]
        volume = read_volume(study.path, study.hint).to_ras()
        if there.layout == "cc-ccii":
            assert np.multiply(volume.spacing_mm, volume.shape) == pytest.approx((350, 350, 320))
            assert any("guessed a field" in note for note in volume.notes)
        else:
            assert volume.spacing_mm == pytest.approx(patient.grid(grid).spacing_mm)
        if there.layout not in ("cc-ccii", "rad-chestct"):
            # The first voxel in RAS+ is the last one of x and y as drawn.
            x, y, _ = np.subtract(patient.grid(grid).shape, 1)
            assert volume.affine[:3, 3] == pytest.approx(
                (patient.grid(grid).affine @ (x, y, 0, 1))[:3], abs=1e-3
            )


def test_a_lesion_lies_on_the_side_that_its_sentence_names(there: There) -> None:
    seen = set()
    for name, patient, grid in there.drawn():
        findings = [f for f in patient.findings if f.kind in FOCAL and f.side in ("left", "right")]
        healthy = drawn_ras(patient.number, grid, healthy=True)
        study = there.listed[name]
        hu = read_volume(study.path, study.hint).to_ras().hu
        changed = np.abs(hu - as_kept(there.layout, healthy)) > 100
        mask = nib.as_closest_canonical(nib.load(there.truth.mask_path(name)))
        for finding in findings:
            lines = [s for s in there.truth.of(name) if s.mask_value == finding.mask_value]
            assert {line.side for line in lines} == {finding.side}
            marked = np.asarray(mask.dataobj) == finding.mask_value
            if len(patient.findings) == 1:  # nothing else can have changed a voxel
                marked = changed
            sides = np.flatnonzero((marked & changed).any((1, 2))) - (hu.shape[0] - 1) / 2
            assert len(sides)
            assert (sides.mean() > 0) == (finding.side == "right"), (name, finding.kind)
            assert changed[marked].mean() > 0.3
            seen.add(finding.side)
    assert seen == {"left", "right"}


def test_labels_equal_truth(there: There) -> None:
    for name, patient, _ in there.drawn():
        kinds = {s.finding for s in there.truth.of(name) if s.finding and not s.negated}
        assert kinds == {finding.kind for finding in patient.findings}
        labels = there.listed[name].labels
        positive = {label for label, value in labels.items() if value}
        if there.layout in ("ct-rate", "folder"):
            assert set(labels) == set(LABELS) or folder.has_text(patient)
            assert positive == (set() if not labels else kinds)
        elif there.layout == "rad-chestct":
            chalk = {k for k in kinds if "calcification" in k}
            assert list(labels) == list(CLASSES)
            assert positive == (kinds - chalk - {"Mosaic attenuation pattern"}) | (
                {"Calcification"} if chalk else set()
            )
        elif there.layout == "cc-ccii":
            assert positive == {name.split("-")[0]}
            assert ("NCP" in positive) == ("Lung opacity" in kinds)
        elif there.layout == "luna16":
            assert labels == {"Lung nodule": int("Lung nodule" in kinds)}
        else:
            assert labels == {}


def test_the_cohort_carries_labels_masks_and_splits(there: There) -> None:
    rows = {row["id"]: row for row in there.cohort.index.iter_rows(named=True)}
    for study in there.cohort:
        listed = there.listed[study.id]
        assert (study.patient, study.split) == (listed.patient, listed.split)
        assert rows[study.id]["mask_path"] == (listed.mask and str(listed.mask))
        withheld = there.layout == "rexgrounding" and study.split == "test"
        assert study.has_mask == (there.layout in ("luna16", "btcv", "rexgrounding") and not withheld)
        for label, value in listed.labels.items():
            assert rows[study.id][f"label:{label}"] == value
    splits = {study.patient: set[str]() for study in there.cohort}
    for study in there.cohort:
        splits[study.patient].add(study.split)
    assert all(len(parts) == 1 for parts in splits.values())
    # ReXGroundingCT lists nobody without a finding of lungs or pleura.
    assert len(splits) == (3 if there.layout == "rexgrounding" else PATIENTS)
    facts = json.loads((there.cohort.path / "cohort.json").read_text())
    assert ("hash" in facts["split"]) == (there.layout == "cc-ccii"), "only there the split is ours"


def test_masks_in_the_cohort_are_the_organs_that_were_painted_each_on_its_side(there: There) -> None:
    if there.layout not in ("luna16", "btcv"):
        assert there.cohort.classes == {}
        return
    studies = {study.id: study for study in there.cohort}
    number_of = {name: number for number, name in there.cohort.classes.items()}
    draw, organ = (lung_labels, "lung") if there.layout == "luna16" else (organ_labels, "kidney")
    for id, patient, size in there.drawn():
        study, grid = studies[id], patient.grid(size)
        painted = draw(patient.anatomy, patient.pose, grid).transpose(2, 1, 0)
        np.testing.assert_array_equal(study.source_mask(), painted)
        if organ == "lung":
            for side, lung in (("left", patient.anatomy.left), ("right", patient.anatomy.right)):
                at = patient.pose.to_scanner(np.array([[*lung.centre, 0.0]]))[0]
                index = np.argwhere(study.mask() == number_of[f"{side} lung"]).mean(0)
                assert abs((study.affine @ [*index, 1])[0] - at[0]) < 20  # mm; the other lung is 130 away
        left, right = (
            np.argwhere(study.mask() == number_of[f"{side} {organ}"])[:, 0].mean()
            for side in ("left", "right")
        )
        assert left < right  # x runs to the right


def test_a_cohort_from_before_there_were_masks_is_refused(there: There, tmp_path: Path) -> None:
    for name in ("cohort.json", "ledger.parquet"):
        (tmp_path / name).write_bytes((there.cohort.path / name).read_bytes())
    there.cohort.index.drop("mask_path").write_parquet(tmp_path / "studies.parquet")
    with pytest.raises(SimcropError, match="the column mask_path is missing, ingest again"):
        open_cohort(tmp_path)


def test_an_interrupted_tree_is_completed_and_equal_on_two_processes(there: There, tmp_path: Path) -> None:
    request = Request(there.layout, 6 if there.layout == "cc-ccii" else 3, SEED, SIZE)
    write_cohort(tmp_path / "a", request)
    whole = contents(tmp_path / "a")
    for name in list(whole)[::3]:
        if name != "truth/phantom.json":
            (tmp_path / "a" / name).unlink()
    write_cohort(tmp_path / "a", request, workers=2 if there.layout == "cc-ccii" else 1)
    assert contents(tmp_path / "a") == whole


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_all_organs_lie_on_their_sides(tmp_path: Path) -> None:
    write_cohort(tmp_path, Request("btcv", 2, SEED, "small", "easy"))
    names = json.loads((tmp_path / "dataset.json").read_text())["labels"]
    numbers = {name: int(number) for number, name in names.items()}
    for study in list_studies("btcv", tmp_path).studies:
        stored, scan = read_stored(study.mask or Path()), read_volume(study.path)
        np.testing.assert_array_equal(stored.affine, scan.affine)
        labels = Volume(stored.values.astype(np.float32), stored.affine).to_ras().hu
        assert set(np.unique(labels)) == set(range(14))
        x = {name: np.argwhere(labels == number)[:, 0].mean() for name, number in numbers.items()}
        assert x["right kidney"] > x["left kidney"]
        assert x["liver"] > x["stomach"] > x["spleen"]
        assert x["right adrenal gland"] > x["left adrenal gland"]
        hu = scan.to_ras().hu
        assert 20 < np.median(hu[labels == numbers["liver"]]) < 200


def test_nodules_of_the_table_lie_in_mask_and_lung(tmp_path: Path) -> None:
    write_cohort(tmp_path, Request("luna16", PATIENTS, SEED, SIZE, "easy"))
    nodules = read_annotations(tmp_path / "annotations.csv")
    assert nodules
    truth, studies = read_truth(tmp_path), {s.id: s for s in list_studies("luna16", tmp_path).studies}
    for uid, found in nodules.items():
        volume, lungs = read_volume(studies[uid].path), read_stored(studies[uid].mask or Path())
        line = next(s for s in truth.of(uid) if s.finding == "Lung nodule" and s.shows)
        marked = np.asarray(nib.Nifti1Image.from_filename(truth.mask_path(uid)).dataobj) == line.mask_value
        np.testing.assert_allclose(lungs.affine, volume.affine)
        assert found[0].diameter_mm == line.size_mm
        for nodule in found:
            x, y, z = nodule.lps_mm
            index = tuple(np.rint(np.linalg.inv(volume.affine) @ (-x, -y, z, 1))[:3].astype(int))
            assert (-x > 0) == (line.side == "right")
            assert marked[index]
            assert lungs.values[index] == {"left": LEFT_LUNG, "right": RIGHT_LUNG}[line.side or ""]


def test_candidates_hold_every_nodule_and_places_that_are_none(tmp_path: Path) -> None:
    write_cohort(tmp_path, Request("luna16", 4, SEED, SIZE))
    with (tmp_path / "candidates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    nodules = read_annotations(tmp_path / "annotations.csv")
    assert {row["seriesuid"] for row in rows if row["class"] == "1"} == set(nodules)
    assert len({row["seriesuid"] for row in rows if row["class"] == "0"}) == 4
