"""Features that were made elsewhere: which ones they are, told without writing all of them out."""

import tracemalloc

import numpy as np
import pytest

from simcrop.files.digest import digest_of_names
from simcrop.files.embeddings import Embeddings
from simcrop.tasks.features.source import FromFiles

# Ids that begin alike, go on with a blank, or as the bytes of another one's features would.
AWKWARD = ("a", "a b", "a 0000", "a 0000803f", "a\t", "b", "ab", "\udcff", "ä")


def features(ids: tuple[str, ...], width: int) -> FromFiles:
    values = np.random.default_rng(width).normal(size=(len(ids), width)).astype(np.float32)
    values[: len(ids) // 2, : width // 2 + 1] = 0
    return FromFiles("made", Embeddings(ids, values))


@pytest.mark.parametrize("width", [1, 2, 7, 64])
@pytest.mark.parametrize("ids", [AWKWARD, AWKWARD[::-1], ("one",)])
def test_the_digest_is_that_of_all_rows_as_names(ids: tuple[str, ...], width: int) -> None:
    found = features(ids, width)
    rows = zip(ids, found.found.values, strict=True)
    assert found.digest == digest_of_names(f"{name} {row.tobytes().hex()}" for name, row in rows)


def test_the_digest_changes_with_any_number_and_any_id() -> None:
    first, other = features(AWKWARD, 8), features(AWKWARD, 8)
    assert first.digest == other.digest
    other = features(AWKWARD, 8)
    other.found.values[3, 7] += 1
    assert features((*AWKWARD[:-1], "c"), 8).digest != first.digest != other.digest


def test_the_digest_of_many_scans_takes_less_room_than_their_features() -> None:
    found = features(tuple(f"scan {n}" for n in range(2000)), 768)
    tracemalloc.start()
    assert found.digest
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < found.found.values.nbytes / 4
