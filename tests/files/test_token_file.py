"""The file of tokens: what is written comes back, torn and spoiled records count for nothing."""

from pathlib import Path

import numpy as np
import pytest

from simcrop.files.token_file import HEADER, append_tokens, mapped, record_of, sound
from simcrop.files.vectors import digest_of

N, D = 3, 5


def some(seed: int, scans: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(scans, N, D)).astype(np.float16)


def found(path: Path) -> dict[bytes, np.ndarray]:
    records = mapped(path, N, D)
    return {name: records[place]["tokens"] for name, place in sound(records, lambda *_: None).items()}


def test_what_is_appended_comes_back_and_is_not_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "features" / "a.tokens"
    assert len(mapped(path, N, D)) == 0
    append_tokens(path, ["a", "b"], some(0))
    append_tokens(path, ["c", "a"], some(1))
    assert isinstance(mapped(path, N, D), np.memmap)
    tokens = found(path)
    assert len(tokens) == 3
    for name, expected in [("b", some(0)[1]), ("c", some(1)[0]), ("a", some(1)[1])]:  # the later of two
        np.testing.assert_array_equal(tokens[digest_of(name)], expected)


@pytest.mark.parametrize("cut", [1, 20, record_of(N, D).itemsize - 1])
def test_torn_end_is_forgotten_and_cut_off_before_more_is_added(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.tokens"
    append_tokens(path, ["a", "b"], some(0))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - cut)
    assert list(found(path)) == [digest_of("a")]
    append_tokens(path, ["b"], some(2, 1))
    assert path.stat().st_size == HEADER.size + 2 * record_of(N, D).itemsize
    np.testing.assert_array_equal(found(path)[digest_of("b")], some(2, 1)[0])


def test_spoiled_record_and_file_of_other_sizes_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens"
    append_tokens(path, ["a", "b"], some(0))
    raw = bytearray(path.read_bytes())
    raw[HEADER.size + 30] ^= 1
    path.write_bytes(raw)
    assert list(found(path)) == [digest_of("b")]
    assert len(mapped(path, N + 1, D)) == 0
    append_tokens(path, ["a"], np.zeros((1, N + 1, D), np.float16))
    assert len(mapped(path, N + 1, D)) == 1
