"""Scans whose header says what every one says in which nothing was set, and scans that lie turned: both are said."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from simcrop.data.guess import SIDES, SIZE, is_guess
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume


def written(
    path: Path, toy: Volume, *, spacing: float = 1.0, origin: float = 0.0, degrees: float = 0.0
) -> Path:
    """By another program, as `z y x`."""
    image = sitk.GetImageFromArray(toy.hu.transpose(2, 1, 0).astype(np.int16))
    image.SetSpacing([spacing] * 3)
    image.SetOrigin([origin] * 3)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    image.SetDirection([c, -s, 0, s, c, 0, 0, 0, 1])
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha", "mhd"])
def test_a_header_in_which_nothing_was_set_is_no_statement(tmp_path: Path, toy: Volume, ending: str) -> None:
    notes = read_volume(written(tmp_path / f"ct.{ending}", toy)).notes
    assert [note[: len(kind)] for note, kind in zip(notes, (SIZE, SIDES), strict=True)] == [SIZE, SIDES]
    for change in ({"spacing": 1.5}, {"origin": -120.0}):
        notes = read_volume(written(tmp_path / f"set.{ending}", toy, **change)).notes
        assert not any(map(is_guess, notes)), change


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize(("degrees", "said"), [(5, None), (20, 20), (-30, 30), (60, 30), (90, None)])
def test_a_scan_whose_axes_stand_off_those_of_the_body_says_by_how_much(
    tmp_path: Path, toy: Volume, ending: str, degrees: float, said: int | None
) -> None:
    path = written(tmp_path / f"ct.{ending}", toy, spacing=1.5, origin=7.0, degrees=degrees)
    words = f"its axes stand {said} degrees off those of the patient and are not turned"
    assert read_volume(path).notes == (() if said is None else (words,))
