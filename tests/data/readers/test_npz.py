"""The two .npz formats: their axes, their scale, and nothing unpickled."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcrop.data.hounsfield import Hint
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError


def reason(path: Path) -> str:
    with pytest.raises(SimcropError) as caught:
        read_volume(path)
    return caught.value.reason


def test_rad_chest_ct_runs_down_back_and_left(tmp_path: Path, toy: Volume) -> None:
    stored = toy.hu[::-1, ::-1, ::-1].transpose(2, 1, 0).astype(np.int16)
    np.savez_compressed(tmp_path / "trn00001.npz", ct=stored)
    volume = read_volume(tmp_path / "trn00001.npz")
    assert volume.axis_codes == "LPI"
    assert volume.spacing_mm == (0.8, 0.8, 0.8)
    np.testing.assert_array_equal(volume.to_ras().hu, toy.hu)
    assert volume.decision is not None
    assert volume.decision.source == "npz"


def test_ct_clip_puts_z_first_and_divides_by_1000(tmp_path: Path, toy: Volume) -> None:
    stored = (toy.hu[::-1, ::-1].transpose(2, 0, 1) / 1000).astype(np.float32)
    np.savez(tmp_path / "valid_1_a_1.npz", stored)
    volume = read_volume(tmp_path / "valid_1_a_1.npz")
    assert volume.axis_codes == "LPS"
    assert volume.spacing_mm == (0.75, 0.75, 1.5)
    np.testing.assert_allclose(volume.to_ras().hu, toy.hu, atol=1e-3)
    assert volume.decision is not None
    assert volume.decision.slope == 1000


def test_a_ct_clip_array_in_hu_is_not_multiplied(tmp_path: Path, toy: Volume) -> None:
    np.savez(tmp_path / "a.npz", toy.hu.transpose(2, 0, 1))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npz").hu, toy.hu)


def test_pickled_objects_other_keys_and_flat_arrays_are_refused(tmp_path: Path, toy: Volume) -> None:
    np.savez(tmp_path / "pickle.npz", ct=np.array([[[{}] * 5] * 7] * 9, object))
    np.savez(tmp_path / "other.npz", image=toy.hu)
    np.savez(tmp_path / "flat.npz", ct=toy.hu[0])
    assert reason(tmp_path / "pickle.npz") == "not-scalar"
    assert reason(tmp_path / "other.npz") == "unreadable"
    assert reason(tmp_path / "flat.npz") == "not-3d"


def test_a_damaged_archive_is_refused(tmp_path: Path, toy: Volume) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, ct=toy.hu)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert reason(path) == "corrupt-file"
    middle = len(whole) // 2
    path.write_bytes(
        whole[:middle] + bytes(b ^ 0x5A for b in whole[middle : middle + 9]) + whole[middle + 9 :]
    )
    assert reason(path) in ("corrupt-file", "truncated-file")


@pytest.mark.parametrize("shape", [(30000, 30000, 30000), (9, 7, 6)])
def test_an_array_header_that_lies_is_refused_before_loading(
    tmp_path: Path, toy: Volume, shape: tuple[int, ...], write_member: Callable[[Path, bytes], None]
) -> None:
    np.save(tmp_path / "ct.npy", toy.hu.transpose(2, 1, 0))
    block = (tmp_path / "ct.npy").read_bytes()
    old, new = b"(9, 7, 5), }", str(shape).encode() + b", }"
    start = block.index(old)
    padding = len(new) - len(old)
    block = block[:start] + new + block[start + len(old) :].replace(b" " * padding, b"", 1)
    write_member(tmp_path / "lie.npz", block)
    assert reason(tmp_path / "lie.npz") in ("absurd-size", "truncated-file")


@pytest.mark.parametrize(("key", "size"), [("ct", "0.8 x 0.8 x 0.8"), ("arr_0", "0.75 x 0.75 x 1.5")])
def test_size_sides_and_place_are_guesses_that_a_table_may_better(
    tmp_path: Path, toy: Volume, key: str, size: str
) -> None:
    np.savez(tmp_path / "a.npz", **{key: toy.hu.transpose(2, 1, 0)})
    notes = read_volume(tmp_path / "a.npz").notes
    assert [note.split(",")[0] for note in notes[:1]] == [f"guessed voxels of {size} mm"]
    assert all(note.startswith("guessed") for note in notes)
    assert len(notes) == 3
    if key == "ct":
        told = read_volume(tmp_path / "a.npz", Hint(1.0, 0.0, (0.8, 0.8, 0.8))).notes
        assert told == notes[1:]
        other = read_volume(tmp_path / "a.npz", Hint(1.0, 0.0, (0.7, 0.7, 1.0)))
        np.testing.assert_allclose(other.spacing_mm, (0.7, 0.7, 1.0))
        assert other.notes == (*notes[1:], "voxels of 0.7 x 0.7 x 1 mm as the metadata table says")


def test_geometry_beside_the_array_is_said_to_be_unread(tmp_path: Path, toy: Volume) -> None:
    np.savez(
        tmp_path / "a.npz", ct=toy.hu.transpose(2, 1, 0), spacing=np.ones(3), Affine=np.eye(4), who=np.ones(3)
    )
    assert (
        read_volume(tmp_path / "a.npz").notes[0]
        == "the archive also holds affine and spacing, which is not read"
    )


@pytest.fixture
def write_member() -> Callable[[Path, bytes], None]:
    def write(path: Path, block: bytes) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("ct.npy", block)

    return write
