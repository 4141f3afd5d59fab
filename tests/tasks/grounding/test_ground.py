"""`simcrop ground` on every readable format: the map lies on the scan's own grid, and boxes agree with the map.

Axes: x, y, z voxels of the file; affines and corners in RAS+ mm.
"""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.model import Heat
from simcrop.tasks.grounding.ground import write_map

ASK = ("--sentence", "A nodule in the left lung.", "--sentence", "No pleural effusion.")
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
FORMATS = ["nii", "nii.gz", "dicom", "zip", "mha", "nrrd", "npz"]


@pytest.fixture
def scan(
    request: pytest.FixtureRequest, chests: dict[str, Callable[..., Path]], line, tmp_path: Path
) -> Path:
    """A phantom chest in one format."""
    source = nib.load(line.scan)
    hu, kind = np.asarray(source.dataobj).astype(np.int16), request.param
    path = tmp_path / f"ct.{kind}"
    if kind in ("nii", "nii.gz"):
        return chests["nifti"](path, hu, source.affine)
    if kind in ("mha", "nrrd"):
        image = sitk.GetImageFromArray(np.ascontiguousarray(hu.T))
        image.SetSpacing([float(mm) for mm in source.header.get_zooms()])
        sitk.WriteImage(image, str(path))
        return path
    if kind == "npz":
        np.savez_compressed(path, ct=hu.T)
        return path
    folder = chests["dicom"](tmp_path / "series", hu)
    return folder if kind == "dicom" else chests["zip"](path, folder)


def own_grid(scan: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine as another library reads them, where there is one."""
    if scan.name.endswith((".nii", ".nii.gz")):
        image = nib.load(scan)
        return image.shape, image.affine
    if scan.suffix in (".mha", ".nrrd"):
        image = sitk.ReadImage(str(scan))
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        return image.GetSize(), LPS @ affine
    volume = read_volume(scan)
    return volume.shape, volume.affine


@pytest.mark.parametrize("scan", FORMATS, indirect=True)
def test_map_lies_on_the_scans_own_grid_and_its_maximum_in_the_first_box(
    simcrop: Callable, line, scan: Path, tmp_path: Path
) -> None:
    ran = simcrop("ground", line.run, scan, *ASK, "--out", tmp_path / "out", "--top-k", 5)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    shape, affine = own_grid(scan)
    boxes = json.loads((tmp_path / "out/boxes.json").read_text())
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    for name in ("sentence_01", "sentence_02"):
        heat = nib.load(tmp_path / f"out/{name}.nii.gz")
        assert heat.shape == shape
        np.testing.assert_allclose(heat.affine, affine, atol=1e-4)
        values = np.asarray(heat.dataobj)
        assert values.dtype == np.float32
        assert np.abs(values[np.isfinite(values)]).max() <= 1

        assert [box["similarity"] for box in boxes[name]] == sorted(
            (box["similarity"] for box in boxes[name]), reverse=True
        )
        assert len(boxes[name]) == 5
        assert np.nanmax(values) == pytest.approx(boxes[name][0]["similarity"], abs=1e-6)
        assert metrics[name]["similarity_max"] == pytest.approx(boxes[name][0]["similarity"], abs=1e-6)
        inside = np.argwhere(values == np.nanmax(values)) @ affine[:3, :3].T + affine[:3, 3]
        assert (inside >= np.array(boxes[name][0]["low_mm"]) - 0.01).all()
        assert (inside <= np.array(boxes[name][0]["high_mm"]) + 0.01).all()
        assert (tmp_path / f"out/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_report_file_asks_for_each_of_its_findings(simcrop: Callable, line, tmp_path: Path) -> None:
    report = "Findings: Clear lungs. A nodule of 4.5 mm. No effusion.\nImpression: Benign."
    (tmp_path / "r.txt").write_text(report)
    words = ("ground", line.run, line.scan, "--report", tmp_path / "r.txt", "--sentence", "The heart.")
    assert simcrop(*words, "--out", tmp_path / "out").code == 0
    assert list(json.loads((tmp_path / "out/boxes.json").read_text())) == [
        f"sentence_0{i}" for i in (1, 2, 3, 4)
    ]
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    marks = [metrics[f"sentence_0{i}"]["mark"] for i in (1, 2, 3, 4)]
    assert marks == ["normal", "normal", "affirmed", "denied"]
    page = (tmp_path / "out/report.html").read_text()
    assert all(f"({mark})" in page for mark in marks)
    pairs = [f"sentence_0{i}.{ending}" for i in (1, 2, 3, 4) for ending in ("nii.gz", "png")]
    assert names == ["boxes.json", "metrics.json", "report.html", "run.json", *pairs]


def test_no_box_lies_in_the_padding_around_a_small_scan(
    simcrop: Callable, line, chests: dict[str, Callable[..., Path]], tmp_path: Path
) -> None:
    hu = np.asarray(nib.load(line.scan).dataobj).astype(np.int16)
    scan = chests["nifti"](tmp_path / "small.nii", hu, np.diag([-0.8, -0.9, 1.1, 1.0]))
    ask = ("--sentence", "A nodule.", "--top-k", 10**6)
    assert simcrop("ground", line.run, scan, *ask, "--out", tmp_path / "out").code == 0
    boxes = json.loads((tmp_path / "out/boxes.json").read_text())["sentence_01"]
    assert 1 < len(boxes) < 512
    heat = nib.load(tmp_path / "out/sentence_01.nii.gz")
    assert len(boxes) == len(np.unique(np.asarray(heat.dataobj)))
    corners = nib.affines.apply_affine(heat.affine, [np.full(3, -0.5), np.array(heat.shape) - 0.5])
    low, high = corners.min(0), corners.max(0)
    assert all((np.array(box["high_mm"]) > low).all() for box in boxes)
    assert all((np.array(box["low_mm"]) < high).all() for box in boxes)


def test_what_a_reader_guessed_is_said_and_kept_beside_the_result(
    simcrop: Callable, line, chests: dict[str, Callable[..., Path]], tmp_path: Path
) -> None:
    hu = np.asarray(nib.load(line.scan).dataobj).astype(np.int16)
    np.savez(tmp_path / "hand.npz", hu.transpose(2, 0, 1))
    chests["nifti"](tmp_path / "placed.nii", hu)
    ask = ("--sentence", "A nodule.", "--out")
    guessed = simcrop("ground", line.run, tmp_path / "hand.npz", *ask, tmp_path / "out")
    lines = guessed.out.splitlines()
    assert [one.split(",")[0] for one in lines[:3]] == [
        "note: guessed voxels of 0.75 x 0.75 x 1.5 mm",
        "note: guessed axes L",
        "note: guessed position 0",
    ]
    assert lines[3].startswith("note: no whole lungs were found"), "at the guessed size they are a child's"
    assert len(lines) == 5
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["notes"] == [one.removeprefix("note: ") for one in lines[:4]]
    assert all(note in (tmp_path / "out/report.html").read_text("utf-8") for note in metrics["notes"])
    placed = simcrop("ground", line.run, tmp_path / "placed.nii", *ask, tmp_path / "placed")
    assert "note" not in placed.out
    vector = simcrop("embed", line.run, tmp_path / "hand.npz", "--out", tmp_path / "vector")
    assert vector.code == 0
    assert json.loads((tmp_path / "vector/metrics.json").read_text())["notes"] == metrics["notes"]


ABOUT = (0.6, 0.48, 0.64)


@pytest.mark.parametrize(
    ("degrees", "lean", "coded"),
    [
        (0, 0, 1),
        (12, 0, 1),
        (179, 0, 1),
        (179.95, 0, 0),
        (179.97, 0, 0),
        (180, 0, 1),
        (0, 1e-3, 1),
        (0, 0.05, 0),
    ],
)
def test_map_has_a_coded_qform_only_where_it_says_what_the_sform_says(
    tmp_path: Path, degrees: float, lean: float, coded: int
) -> None:
    """A quaternion cannot lean, and in float32 it is no good near half a turn; ITK reads what leans by qform alone."""
    affine, shape = np.diag([0.7, 0.7, 1.0, 1.0]), (64, 64, 32)
    affine[:3, :3] = nib.quaternions.angle_axis2mat(np.radians(degrees), ABOUT) @ affine[:3, :3]
    affine[:3, 2] += lean * affine[:3, 0] / 0.7
    maps = np.zeros(shape, np.float32), np.zeros((1, 1, 1), np.float32)
    write_map(tmp_path / "map.nii", Heat(*maps, np.zeros((1, 2, 3)), np.zeros(1)), Volume(maps[0], affine))
    image = nib.load(tmp_path / "map.nii")
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    np.testing.assert_allclose(image.header.get_zooms(), np.linalg.norm(affine[:3, :3], axis=0), rtol=1e-6)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, coded)
    if coded:
        last = np.array([63, 63, 31, 1])
        apart = np.linalg.norm((image.get_qform() - affine) @ last)
        assert apart < (0.35 if lean else 0.01)
    if lean < 0.01:
        assert sitk.ReadImage(str(tmp_path / "map.nii")).GetSize() == shape
