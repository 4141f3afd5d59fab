"""Findings in scans that are not the phantom's own: where they lie, how dense they are, and that nothing else changes.

Axes: `(x, y, z)` as stored; places are RAS+ mm of the affine, so the patient's left has the smaller x.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from scipy.ndimage import binary_erosion, distance_transform_edt

from simcrop.data.layouts import list_studies
from simcrop.data.phantom import read_truth
from simcrop.data.phantom.background import Altered, Job, altered, write_background
from simcrop.data.phantom.findings import Finding
from simcrop.data.phantom.patient import draw_patient
from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError

LIDC = "lidc_idri_0001/cxr.nii.gz"
LUNG1 = "nsclc_radiomics_lung1_001/LUNG1-001_shrink2.nii.gz"


def write_chest(path: Path, number: int = 1, codes: str = "LPS", keep: slice = slice(None)) -> Path:
    """A healthy phantom as if from a scanner, with its axes in the order of `codes`."""
    patient = draw_patient(5, number, "real", [])
    affine, hu = patient.grid("small").affine.copy(), patient.scans("small")[0][0].transpose(2, 1, 0)
    affine[:3, 3] += affine[:3, 2] * (keep.start or 0)
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    turned = apply_orientation(hu[:, :, keep], turn)
    image = nib.Nifti1Image(turned, affine @ inv_ornt_aff(turn, hu[:, :, keep].shape))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def job(path: Path, number: int) -> Job:
    return Job(Path("nowhere"), path, number, 1, 1, 7, "real")


def read_mask(path: Path) -> np.ndarray:
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    return np.asanyarray(image.dataobj)


def inner(scan: Altered, value: int, voxels: int) -> np.ndarray:
    return np.asarray(binary_erosion(scan.mask == value, iterations=voxels), bool)


def findings_of(scan: Altered) -> list[Finding]:
    return [sentence.finding for sentence in scan.report.sentences if sentence.finding is not None]


@cache
def real(path: Path, number: int) -> Altered:
    return altered(job(path, number))


def centre_of(scan: Altered, value: int) -> np.ndarray:
    """Mean place in mm of one finding."""
    return apply_affine(scan.affine, np.argwhere(scan.mask == value)).mean(0)


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chest(tmp_path_factory.mktemp("scanner") / "Doe_Jane" / "thorax.nii.gz")


@pytest.mark.parametrize("codes", ["LPS", "RAS", "ASL"])
def test_findings_lie_on_the_side_that_the_affine_says_in_any_order_of_axes(
    tmp_path: Path, codes: str
) -> None:
    path = write_chest(tmp_path / "ct.nii.gz", codes=codes)
    volume, sides = read_volume(path), set()
    for number in range(1, 5):
        scan = altered(job(path, number))
        assert scan.mask.shape == scan.hu.shape == volume.shape
        np.testing.assert_array_equal(scan.affine, volume.affine)
        centre_x = apply_affine(volume.affine, np.argwhere(volume.hu > -200)).mean(0)[0]
        for finding in findings_of(scan):
            x = centre_of(scan, finding.mask_value)[0] - centre_x
            if finding.side != "both":
                assert x < -15 if finding.side == "left" else x > 15, (finding.kind, finding.side, x)
                sides.add(finding.side)
    assert sides == {"left", "right"}


def test_what_no_finding_covers_keeps_every_bit(chest: Path) -> None:
    before, scan = read_volume(chest), altered(job(chest, 2))
    changed = scan.hu != before.hu
    assert 0 < changed.mean() < 0.1
    assert (scan.mask[changed] > 0).mean() > 0.25  # the rest are soft borders
    assert np.asarray(distance_transform_edt(scan.mask == 0, before.spacing_mm))[changed].max() < 16


def test_each_finding_is_as_dense_as_its_truth_says(chest: Path) -> None:
    seen = set()
    for number in (3, 4, 6, 8):
        scan = altered(job(chest, number))
        for finding in findings_of(scan):
            inside = inner(scan, finding.mask_value, 2)
            if inside.sum() > 20:
                low, high = finding.hu_range
                median = np.median(scan.hu[inside])
                assert low - 10 <= median <= high + 10, (finding.kind, median)
                seen.add(finding.kind)
    assert len(seen) >= 4


def test_the_noise_of_the_scan_goes_on_inside_a_finding(real_data: Path) -> None:
    path = real_data / "ct" / LIDC
    scan, before = real(path, 4), read_volume(path)
    largest = max((f for f in findings_of(scan) if f.kind != "Lung opacity"), key=lambda f: f.volume_ml)
    tissue = np.asarray(binary_erosion((before.hu > 20) & (before.hu < 90), iterations=2), bool)
    assert 0.3 < rough(scan.hu, inner(scan, largest.mask_value, 2)) / rough(before.hu, tissue) < 1.8


def rough(hu: np.ndarray, where: np.ndarray) -> float:
    """Median difference between neighbours in a slice, HU."""
    pairs = where[1:] & where[:-1]
    return float(np.median(np.abs(np.diff(hu.astype(np.float32), axis=0))[pairs]))


def test_findings_in_lidc_lie_in_the_lobes_that_an_independent_mask_marks(real_data: Path) -> None:
    scan = real(real_data / "ct" / LIDC, 4)
    lobes = read_mask(real_data / "ct" / "lidc_idri_0001" / "mask.nii.gz")
    named: dict[tuple[str | None, str | None], int] = {
        ("left", "upper"): 10,
        ("left", "lower"): 11,
        ("right", "upper"): 12,
        ("right", "lower"): 14,
    }
    for finding in findings_of(scan):
        sides = ("left", "right") if finding.side == "both" else (finding.side,)
        inside = lobes[scan.mask == finding.mask_value]
        ours = np.isin(inside, [named[side, finding.lobe] for side in sides])
        assert ours.mean() > 0.9, (finding.kind, finding.side, finding.lobe, ours.mean())


def test_findings_in_lung1_lie_in_the_lung_that_its_contours_mark(real_data: Path) -> None:
    scan = real(real_data / "ct" / LUNG1, 3)
    folder = real_data / "ct" / "nsclc_radiomics_lung1_001"
    lungs = read_mask(folder / "LUNG1-001_shrink2_lungs_gtv.nii.gz")
    for finding in findings_of(scan):
        wanted = {"left": [1], "right": [2], "both": [1, 2]}[finding.side or "both"]
        inside = lungs[scan.mask == finding.mask_value]
        assert np.isin(inside, wanted).mean() > 0.9, (finding.kind, finding.side)
        assert (inside == 3).mean() < 0.02  # not upon the tumour that is there already


def test_a_scan_that_is_no_whole_chest_is_refused_with_its_reason(tmp_path: Path, real_data: Path) -> None:
    for name in ("ibsi_ct_phantom/phantom.nii.gz", "totalsegmentator/example_ct_sm.nii.gz"):
        with pytest.raises(SimcropError) as caught:
            altered(job(real_data / "ct" / name, 1))
        assert caught.value.reason == "no-lungs"
    cut = write_chest(tmp_path / "cut.nii.gz", keep=slice(28, 64))
    with pytest.raises(SimcropError, match="lung reaches beyond the scan"):
        altered(job(cut, 1))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_scans_reports_and_truth_come_back_through_ingest(tmp_path: Path, chest: Path) -> None:
    out = tmp_path / "out"
    done = write_background(out, chest.parent.parent, 3, seed=4)
    assert (done.volumes, done.refused) == (3, ())
    listing = list_studies("folder", out)
    assert listing.refusals == ()
    assert [study.id for study in listing.studies] == [f"background_1__ct_{n}" for n in (1, 2, 3)]
    assert {study.patient for study in listing.studies} == {"background_1"}  # one person, however often
    truth = read_truth(out)
    for study in listing.studies:
        sentences = truth.of(study.id)
        assert sentences
        assert all(sentence.shows and not sentence.negated for sentence in sentences)
        assert study.findings.count(".") == len(sentences)
        mask = read_mask(truth.mask_path(study.id))
        assert set(np.unique(mask)) == {0, *(sentence.mask_value for sentence in sentences)}


def test_nothing_of_the_name_of_a_source_reaches_the_output(tmp_path: Path, chest: Path) -> None:
    write_background(tmp_path / "out", chest.parent.parent, None, seed=4)
    for place, content in contents(tmp_path / "out").items():
        assert not any(word in place or word.encode() in content for word in ("Doe", "Jane", "thorax"))


def test_the_same_request_gives_the_same_bytes_on_any_number_of_processes(
    tmp_path: Path, chest: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "other")]
    for out, seed, workers in zip(folders, (4, 4, 5), (1, 2, 1), strict=True):
        write_background(out, chest.parent.parent, 2, seed, workers=workers)
    first, second, other = map(contents, folders)
    assert first == second
    assert first.keys() == other.keys()
    assert all(first[place] != other[place] for place in first if place.endswith(".nii.gz"))


def test_an_interrupted_call_goes_on_where_it_stopped(tmp_path: Path, chest: Path) -> None:
    out = tmp_path / "out"
    write_background(out, chest.parent.parent, 2, seed=4)
    whole = contents(out)
    kept = out / "background_1" / "ct_1.nii.gz"
    moment = kept.stat().st_mtime_ns
    (out / "truth" / "background_1__ct_2.jsonl").unlink()
    (out / "background_1" / "ct_2.nii.gz").unlink()
    write_background(out, chest.parent.parent, 2, seed=4)
    assert contents(out) == whole
    assert kept.stat().st_mtime_ns == moment


def test_what_cannot_be_used_is_named_and_the_rest_is_written(tmp_path: Path, simcrop: Callable) -> None:
    source = tmp_path / "scans"
    for name, keep in (("a.nii.gz", slice(0, 20)), ("b.nii.gz", slice(None))):
        write_chest(source / name, keep=keep)
    ran = simcrop("phantom", tmp_path / "out", "--background", source)
    assert (ran.code, ran.out) == (1, f"1 volumes in {tmp_path / 'out'}\n")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"refused: {source / 'a.nii.gz'}: ")
    assert not (tmp_path / "out" / "background_1").exists()
    assert simcrop("phantom", tmp_path / "o2", "--background", source / "a.nii.gz").code == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--layout", "btcv"), "leave --layout and --size out"),
        (("--size", "full"), "leave --layout and --size out"),
        (("--patients", "0"), "at least 1 patient"),
        (("--difficulty", "hard"), "easy, real"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, chest: Path, simcrop: Callable, words: tuple[str, str], reason: str
) -> None:
    ran = simcrop("phantom", tmp_path / "out", "--background", chest, *words)
    assert reason in ran.refusal
    assert not (tmp_path / "out").exists()


def test_an_output_within_the_source_is_refused(tmp_path: Path, chest: Path) -> None:
    with pytest.raises(SimcropError, match="lies within"):
        write_background(chest.parent / "out", chest.parent, None, seed=0)
    assert not (chest.parent / "out").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SimcropError, match="no scan found"):
        write_background(tmp_path / "out", empty, None, seed=0)
