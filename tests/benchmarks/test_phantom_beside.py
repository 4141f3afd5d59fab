"""`benchmarks/phantom_beside.py`: one row per chest, and scans that are no whole chest left out.

Axes: pixels of the picture, rows first.
"""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simcrop.phantom.layouts.formats import write_nifti
from simcrop.phantom.patient import draw_patient

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "phantom_beside.py"


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, words)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_a_scan_is_drawn_above_a_phantom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = draw_patient(5, 1, "real", [])
    (hu, *_), _ = patient.scans("small")
    write_nifti(tmp_path / "scans" / "a.nii.gz", hu[:20], patient.grid("small").affine)
    write_nifti(tmp_path / "scans" / "b.nii.gz", hu, patient.grid("small").affine)
    run(monkeypatch, tmp_path / "scans", "--out", tmp_path / "beside.png", "--size", "small")
    left_out, done = capsys.readouterr().out.splitlines()
    assert left_out.startswith("left out: ")
    assert done == f"2 chests in {tmp_path / 'beside.png'}"
    with Image.open(tmp_path / "beside.png") as picture:
        pixels = np.asarray(picture)
    tall, wide = pixels.shape[:2]
    assert (tall + 4) / 2 == (wide + 4) / 6  # square cuts, six in a row
    upper, lower = pixels[: tall // 2 - 2], pixels[tall // 2 + 2 :]
    assert min(upper.std(), lower.std()) > 30
    assert (upper != lower).any()


def test_a_folder_without_a_chest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no scan of a whole chest"):
        run(monkeypatch, tmp_path, "--out", tmp_path / "beside.png")
    assert not (tmp_path / "beside.png").exists()
