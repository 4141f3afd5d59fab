"""Numbered 8-bit slices, in folders and in zips: order, sides, the assumed window, and what is refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

SHAPE = (11, 9, 6)  # x, y, z


@pytest.fixture
def grey() -> np.ndarray:
    """uint8 `(slice, row, column)`: air, lung and soft tissue in places that no flip can bring together."""
    values = np.random.default_rng(4).integers(30, 60, SHAPE[::-1]).astype(np.uint8)
    values[1:3, 2:8, 1:7] = 219
    values[0, 0, 0] = 0
    values[5, 8, 10] = 255
    return values


def png(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def write_folder(folder: Path, grey: np.ndarray, first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(grey, first):
        (folder / f"{number:04d}.png").write_bytes(png(pixels))
    return folder


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def reason(path: Path) -> str:
    with pytest.raises(SimcropError) as caught:
        read_volume(path)
    assert len(caught.value.sentence.splitlines()) == 1
    return caught.value.reason


def check(volume: Volume, grey: np.ndarray) -> None:
    assert volume.axis_codes == "LPI"
    assert np.multiply(volume.spacing_mm, SHAPE) == pytest.approx((350, 350, 320))
    hu = volume.to_ras().hu
    # From the slice at the head, seen from the feet: column 0 is the patient's right, row 0 the front.
    wanted = grey.transpose(2, 1, 0)[::-1, ::-1, ::-1] * (1500 / 255) - 1250
    np.testing.assert_allclose(hu, wanted, atol=0.01)
    assert volume.decision is not None
    assert volume.decision.source == "slices"
    assert "window assumed" in volume.decision.sentence


def test_a_folder_of_slices_runs_left_back_and_down(tmp_path: Path, grey: np.ndarray) -> None:
    grey[0, 0, 0] = 30
    check(read_volume(write_folder(tmp_path / "scan", grey, first=7)), grey)


def test_a_scan_inside_a_zip_is_read_where_it_lies(tmp_path: Path, grey: np.ndarray) -> None:
    grey[0, 0, 0] = 30
    members = {f"NCP/3/77/{z}.png": png(pixels) for z, pixels in enumerate(grey)}
    other = {f"NCP/3/78/{z}.png": png(pixels[::-1]) for z, pixels in enumerate(grey)}
    path = write_zip(tmp_path / "NCP-1.zip", members | other)
    check(read_volume(path / "NCP/3/77"), grey)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["NCP-1.zip"]


def test_colour_pictures_pass_only_when_they_are_grey(tmp_path: Path, grey: np.ndarray) -> None:
    folder = write_folder(tmp_path / "scan", grey)
    (folder / "0002.png").write_bytes(png(np.repeat(grey[2][..., None], 3, 2)))
    read_volume(folder)
    colour = np.repeat(grey[2][..., None], 3, 2)
    colour[0, 0] = (250, 10, 10)
    (folder / "0002.png").write_bytes(png(colour))
    assert reason(folder) == "not-scalar"


def test_missing_slice_is_refused_with_its_number(tmp_path: Path, grey: np.ndarray) -> None:
    folder = write_folder(tmp_path / "scan", grey)
    (folder / "0003.png").unlink()
    with pytest.raises(SimcropError, match="slice 3 is missing from 0 to 5") as caught:
        read_volume(folder)
    assert caught.value.reason == "missing-slices"


def test_slices_that_do_not_belong_together_are_refused(tmp_path: Path, grey: np.ndarray) -> None:
    folder = write_folder(tmp_path / "scan", grey)
    (folder / "0004.png").write_bytes(png(grey[4][:-1]))
    assert reason(folder) == "mixed-geometry"
    (folder / "0004.png").write_bytes(png(grey[4]))
    (folder / "4.png").write_bytes(png(grey[4]))
    assert reason(folder) == "duplicate-slices"
    (folder / "4.png").unlink()
    (folder / "0004.png").write_bytes(png(grey[4])[:-30])
    assert reason(folder) == "truncated-file"
    (folder / "0004.png").write_bytes(png(np.zeros((3, 5000), np.uint8)))
    assert reason(folder) == "absurd-size"
    (folder / "0004.png").write_bytes(png(grey[4].astype(np.uint16) * 250))
    assert reason(folder) == "not-scalar"


def test_unsafe_zips_are_refused_and_nothing_is_written(tmp_path: Path, grey: np.ndarray) -> None:
    good = {f"NCP/3/77/{z}.png": png(pixels) for z, pixels in enumerate(grey)}
    path = write_zip(tmp_path / "NCP-1.zip", good | {"../evil.png": png(grey[0])})
    assert reason(path / "NCP/3/77") == "unsafe-path"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("NCP/3/77/0.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/hostname")
    assert reason(path / "NCP/3/77") == "unsafe-path"
    path.write_bytes(path.read_bytes()[:-25])
    assert reason(path / "NCP/3/77") == "corrupt-file"
    assert [p.name for p in tmp_path.iterdir()] == ["NCP-1.zip"]


def test_a_place_in_a_zip_without_slices_is_refused(tmp_path: Path, grey: np.ndarray) -> None:
    path = write_zip(tmp_path / "CP-1.zip", {"CP/1/2/0.png": png(grey[0])})
    assert reason(path / "CP/1/3") == "no-scan"
    assert reason(path / "CP/1/2") == "not-3d"
    assert reason(tmp_path / "nowhere" / "2") == "missing-file"
