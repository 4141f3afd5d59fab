"""Vectors in a file that grows: torn at any byte, spoiled, or written by two at once.

Axes: n name, d 3 features.
"""

from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from simcrop.files.vectors import append_vectors, read_vectors
from simcrop.files.whole import StoreError

NAMES = ["a", "b", "ü"]
VECTORS = np.arange(9, dtype=np.float32).reshape(3, 3)
RECORD = 16 + 3 * 4 + 4


def test_what_is_written_is_found_by_name_and_the_later_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "v"
    assert read_vectors(path, NAMES).vectors.shape == (3, 0)
    append_vectors(path, NAMES[:2], VECTORS[:2])
    append_vectors(path, NAMES[2:], VECTORS[2:])
    found = read_vectors(path, ["ü", "nobody", "a"])
    assert found.known.tolist() == [True, False, True]
    np.testing.assert_array_equal(found.vectors, VECTORS[[2, 2, 0]] * [[1], [0], [1]])
    append_vectors(path, ["a"], VECTORS[1:2])
    np.testing.assert_array_equal(read_vectors(path, NAMES).vectors, VECTORS[[1, 1, 2]])
    assert path.stat().st_size == 16 + 4 * RECORD


def test_file_torn_at_any_byte_keeps_its_whole_records_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "v"
    append_vectors(path, NAMES, VECTORS)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        kept = max(0, size - 16) // RECORD
        assert read_vectors(path, NAMES).known.sum() == kept
        append_vectors(path, NAMES[kept:], VECTORS[kept:])
        np.testing.assert_array_equal(read_vectors(path, NAMES).vectors, VECTORS)
        assert path.read_bytes() == whole


def test_spoiled_record_counts_for_nothing_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "v"
    append_vectors(path, NAMES, VECTORS)
    content = bytearray(path.read_bytes())
    content[16 + RECORD + 20] ^= 1
    path.write_bytes(content)
    assert read_vectors(path, NAMES).known.tolist() == [True, False, True]


def test_file_whose_header_is_spoiled_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "v"
    append_vectors(path, NAMES, VECTORS)
    content = bytearray(path.read_bytes())
    for byte in range(16):
        for bit in range(8):
            content[byte] ^= 1 << bit
            path.write_bytes(content)
            assert not read_vectors(path, NAMES).known.any()
            content[byte] ^= 1 << bit


def test_file_of_another_width_or_kind_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "v"
    append_vectors(path, NAMES, VECTORS)
    append_vectors(path, ["a"], VECTORS[:1, :2])
    assert read_vectors(path, NAMES).known.tolist() == [True, False, False]
    path.write_bytes(b"something else, longer than a header")
    assert not read_vectors(path, NAMES).known.any()
    append_vectors(path, NAMES, VECTORS)
    assert read_vectors(path, NAMES).known.all()


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        append_vectors(tmp_path / "nowhere" / "v", NAMES, VECTORS)


def append_many(path: Path, first: int) -> None:
    for i in range(first, first + 200):
        append_vectors(path, [str(i)], np.full((1, 3), i, dtype=np.float32))


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    writers = [get_context("fork").Process(target=append_many, args=(tmp_path / "v", i)) for i in (0, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    found = read_vectors(tmp_path / "v", [str(i) for i in range(400)])
    assert found.known.all()
    assert (found.vectors[:, 0] == np.arange(400)).all()
