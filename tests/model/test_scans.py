"""Many scans: the vectors of one by one, whatever else lies between them, and little of it in memory at once.

Axes: s scan, d features.
"""

import multiprocessing
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simcrop.config import build_recipe
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.model import Model, scans
from simcrop.model.model import check_counts
from simcrop.model.scans import refuse_no_numbers, volume_of

AFFINE = np.diag([-13.0, 12.5, 21.0, 1.0])


@pytest.fixture
def model(toy_tree: dict[str, Any]) -> Model:
    torch.manual_seed(0)
    return Model(build_recipe(toy_tree, "toy"), None, None)


@pytest.fixture
def paths(tmp_path: Path, scan: Callable, save: Callable) -> list[Path]:
    """Five scans, of which no two are alike."""
    rolled = [np.roll(scan(n), 2 * n, axis=0) for n in range(5)]
    return [save(tmp_path / "scans" / f"{n}.nii.gz", hu) for n, hu in enumerate(rolled)]


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.nii.gz"
    path.touch()
    return path


def volume(seed: int) -> Volume:
    hu = np.random.default_rng(seed).normal(-300, 400, (25, 27, 17)).astype(np.float32)
    return Volume(hu, AFFINE)


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_vectors_are_those_of_one_scan_after_the_other(
    model: Model, paths: list[Path], batch: int, pool: str
) -> None:
    found = model.embed_many(paths, batch=batch, pool=pool)
    one_by_one = np.stack([model.embed(path, pool) for path in paths])
    assert (found.vectors.shape, found.vectors.dtype) == ((5, 36), np.float32)
    np.testing.assert_allclose(found.vectors, one_by_one, atol=1e-5)
    assert np.abs(one_by_one[0] - one_by_one[1]).max() > 1e-3
    assert found.names == tuple(map(str, paths))
    assert found.places.tolist() == [0, 1, 2, 3, 4]
    assert (len(found), found.refused) == (5, ())


def test_a_bad_scan_is_refused_with_its_reason_and_the_rest_keep_their_places(
    model: Model, paths: list[Path], empty: Path, tmp_path: Path
) -> None:
    spoiled = volume(7)
    spoiled.hu[3, 4, 5] = np.nan
    given = [paths[0], str(empty), paths[1], tmp_path / "nowhere", spoiled, volume(8)]
    found = model.embed_many(given, batch=2)
    assert found.places.tolist() == [0, 2, 5]
    assert found.names == (str(paths[0]), str(paths[1]), "scan 5")
    np.testing.assert_allclose(found.vectors[2], model.embed(volume(8)), atol=1e-5)
    assert [(one.name, one.place, one.reason) for one in found.refused] == [
        (str(empty), 1, "empty-file"),
        (str(tmp_path / "nowhere"), 3, "missing-file"),
        ("scan 4", 4, "not-finite"),
    ]
    assert found.refused[0].sentence == f"{empty}: the file has no bytes"


def test_when_all_or_none_are_there_the_vectors_still_have_their_width(model: Model, empty: Path) -> None:
    assert model.embed_many([]).vectors.shape == (0, 36)
    found = model.embed_many([empty, empty])
    assert (found.vectors.shape, len(found), len(found.refused)) == ((0, 36), 0, 2)


@pytest.mark.limit(300)
def test_processes_read_the_same_and_outlive_a_scan_that_ends_its_reader(
    model: Model, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = tmp_path / "killer.nii.gz"
    killer.symlink_to(paths[4])
    monkeypatch.setattr(scans, "prepared", ends_its_process)
    found = model.embed_many([paths[0], killer, volume(3), paths[1]], batch=1, workers=2)
    assert found.places.tolist() == [0, 2, 3]
    expected = [model.embed(scan) for scan in (paths[0], volume(3), paths[1])]
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    (refused,) = found.refused
    assert (refused.place, refused.reason) == (1, "worker-died")
    assert str(killer) in refused.sentence
    assert not multiprocessing.active_children()


def ends_its_process(job: Any) -> Any:
    """As a decoder does that crashes on one file."""
    if "killer" in job.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return PREPARED(job)


PREPARED = scans.prepared


def test_the_next_scans_are_read_while_one_batch_is_computed(
    model: Model, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Computing waits until a scan of the next batch has been read: alone it would wait in vain."""
    read = threading.Semaphore(0)

    def counted(job: Any) -> Any:
        found = PREPARED(job)
        read.release()
        return found

    def waits(self: Model, volumes: Tensor) -> Tensor:
        for _ in range(3 if not computed else 0):
            assert read.acquire(timeout=90)
        computed.append(len(volumes))
        return real(self, volumes)

    computed: list[int] = []
    real = Model.features_of
    monkeypatch.setattr(scans, "prepared", counted)
    monkeypatch.setattr(Model, "features_of", waits)
    model.embed_many(paths, batch=2)
    assert computed == [2, 2, 1]


def test_of_a_long_list_only_two_batches_are_in_memory(model: Model) -> None:
    alive: list[weakref.ref[Volume]] = []
    most = 0

    def many() -> Iterator[Volume]:
        nonlocal most
        for seed in range(24):
            made = volume(seed)
            alive.append(weakref.ref(made))
            yield made
            del made
            most = max(most, sum(one() is not None for one in alive))

    assert len(model.embed_many(many(), batch=2)) == 24
    assert most <= 5


def test_an_error_while_computing_ends_the_readers(
    model: Model, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Tensor:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Model, "features_of", fails)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        model.embed_many(paths, batch=1)
    until = time.monotonic() + 90
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("scans", "more", "sentence"),
    [
        ("ct.nii.gz", {}, "embed_many wants a list of paths or volumes, found one str"),
        ([], {"batch": 0}, "batch wants a whole number from 1 on, got 0"),
        ([], {"workers": 0}, "workers wants a whole number from 1 on, got 0"),
        ([], {"pool": "median"}, "pool wants mean or max, got 'median'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    model: Model, scans: Any, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SimcropError, match=sentence) as refusal:
        model.embed_many(scans, **more)
    assert refusal.value.reason == "bad-setting"


def test_one_scan_is_not_taken_for_many() -> None:
    with pytest.raises(SimcropError, match="found one Volume; for a single scan there is embed"):
        scans.listed(volume(0))


@pytest.mark.parametrize(
    ("hu", "reason"),
    [
        (np.full((4, 5, 6), np.nan, np.float32), "not-finite"),
        (np.full((4, 5, 6), np.inf, np.float32), "not-finite"),
        (np.zeros((0, 5, 6), np.float32), "no-voxels"),
        (np.zeros((4, 5, 6), complex), "not-numbers"),
        (np.zeros((4, 5, 6), object), "not-numbers"),
    ],
)
def test_a_volume_of_no_numbers_has_no_features(model: Model, hu: np.ndarray, reason: str) -> None:
    given = Volume(hu, np.eye(4))
    for ask in (model.embed, model.look_at_whole, model.tokens):
        with pytest.raises(SimcropError) as refusal:
            ask(given)
        assert refusal.value.reason == reason
    (refused,) = model.embed_many([given]).refused
    assert refused.reason == reason


@pytest.mark.parametrize("hu", [torch.zeros(4, 5, 6), [[[0.0]]]])
def test_what_is_no_array_is_named_by_its_kind(hu: object) -> None:
    with pytest.raises(
        SimcropError, match=f"a NumPy array of plain numbers in HU, found {type(hu).__name__}"
    ):
        refuse_no_numbers(hu)


@pytest.mark.parametrize("count", [2.5, "2", None])
def test_a_batch_is_a_whole_number_or_all_scans_would_be_in_memory_at_once(count: object) -> None:
    with pytest.raises(SimcropError, match=f"batch wants a whole number from 1 on, got {count!r}"):
        check_counts(batch=count)


def test_bare_voxels_are_no_scan_and_the_refusal_says_what_they_lack() -> None:
    with pytest.raises(
        SimcropError, match=r"found ndarray; voxels .* become one by simcrop.Volume"
    ) as refusal:
        volume_of(np.zeros((3, 4, 5)))
    assert refusal.value.reason == "not-a-scan"


def test_a_path_serves_wherever_a_volume_does(model: Model, paths: list[Path]) -> None:
    from simcrop.data.readers import read_volume

    held = read_volume(paths[0])
    for given in (paths[0], str(paths[0])):
        np.testing.assert_array_equal(model.embed(given), model.embed(held))
        np.testing.assert_array_equal(model.tokens(given).features, model.tokens(held).features)
