"""A study that cannot be read: tried again, then another in its place, the same whenever the run is repeated."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from simcrop.data.preprocess import InputSpec
from simcrop.data.samples import reading
from simcrop.data.samples.collate import Collate
from simcrop.data.samples.dataset import Sample, StudyCrops
from simcrop.data.samples.reading import OTHERS
from simcrop.data.store.cohort import Cohort, Study, open_cohort
from simcrop.engine.order import SampleDraw
from simcrop.errors import SimcropError

SPEC = InputSpec((14.0, 12.0, 24.0), (24, 28, 15))
STALE = OSError(errno.ESTALE, os.strerror(errno.ESTALE), "scan.b2nd")
DAMAGED = SimcropError("corrupt-volume", "scan.b2nd: damaged")


@pytest.fixture(scope="module")
def crops(toy_cohort: Path) -> StudyCrops:
    return StudyCrops(open_cohort(toy_cohort), SPEC, random_crop=True)


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes reading the studies `ids` raise `error`, `times` times each; the ids of all that were asked for."""
    monkeypatch.setattr(reading, "PAUSES_S", (0.0, 0.0))
    real = Study.crop

    def broken(ids: set[str], error: Exception, times: int = 10**6) -> list[str]:
        asked: list[str] = []

        def crop(study: Study, *where: Any) -> Any:
            asked.append(study.id)
            if study.id in ids and asked.count(study.id) <= times:
                raise error
            return real(study, *where)

        monkeypatch.setattr(Study, "crop", crop)
        return asked

    return broken


def test_scan_that_comes_back_is_the_sample_it_would_have_been(
    crops: StudyCrops, fail: Callable[..., list[str]]
) -> None:
    before, name = crops[SampleDraw(2, 77)], crops.studies[2].id
    asked = fail({name}, STALE, times=2)
    after = crops[SampleDraw(2, 77)]
    assert isinstance(before, Sample)
    assert isinstance(after, Sample)
    assert asked == [name] * 3
    assert torch.equal(before.volume, after.volume)
    assert after.unread == ()


@pytest.mark.parametrize("error", [STALE, DAMAGED])
def test_scan_that_stays_away_is_replaced_by_another_always_the_same(
    crops: StudyCrops, fail: Callable[..., list[str]], error: Exception
) -> None:
    name = crops.studies[2].id
    fail({name}, error)
    first, again, elsewhere = (crops[SampleDraw(2, seed)] for seed in (77, 77, 78))
    for sample in (first, again, elsewhere):
        assert isinstance(sample, Sample)
        assert sample.id != name
        assert [one.id for one in sample.unread] == [name]
        assert f"study {name}: scan.b2nd: " in sample.unread[0].error.sentence
    assert isinstance(first, Sample)
    assert isinstance(again, Sample)
    assert first.id == again.id
    assert torch.equal(first.volume, again.volume)
    batch = Collate()([first, again])
    assert not isinstance(batch, SimcropError)
    assert [one.id for one in batch.to(torch.device("cpu")).unread] == [name, name]


def test_storage_that_is_gone_is_an_error_and_not_an_endless_search(
    crops: StudyCrops, fail: Callable[..., list[str]]
) -> None:
    asked = fail({study.id for study in crops.studies}, STALE)
    error = crops[SampleDraw(2, 77)]
    assert isinstance(error, SimcropError)
    assert error.reason == "unreadable"
    assert len(asked) == 3 * (1 + OTHERS)


def test_setting_that_suits_no_scan_is_not_tried_on_others(
    toy_cohort: Path, fail: Callable[..., list[str]]
) -> None:
    asked = fail(set(), STALE)
    cohort: Cohort = open_cohort(toy_cohort)
    spec = InputSpec(SPEC.spacing_mm, SPEC.shape, antialias=True)
    error = StudyCrops(cohort, spec, random_crop=True)[SampleDraw(2, 77)]
    assert isinstance(error, SimcropError)
    assert error.reason == "bad-setting"
    assert asked == []
