"""The index of a training's studies in a mapped file: the same studies, the same samples, and no weight on the way to a
loading process. Axes: x y z voxels.
"""

import shutil
from dataclasses import fields, replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.data.preprocess import InputSpec
from simcrop.data.samples import reading
from simcrop.data.samples.dataset import Sample, StudyCrops
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.kept_index import KeptIndex, found_index, index_file, keep_index
from simcrop.engine.order import SampleDraw
from simcrop.errors import SimcropError


@pytest.fixture
def cohort(toy_cohort: Path, tmp_path: Path) -> Cohort:
    folder = tmp_path / "cohort"
    shutil.copytree(toy_cohort, folder, ignore=shutil.ignore_patterns("sentences"))
    return open_cohort(folder)


def kept(cohort: Cohort) -> KeptIndex:
    index = keep_index(index_file(cohort.path / "sentences", cohort), cohort)
    assert index is not None
    return index


def test_studies_are_those_of_the_cohort_in_every_field(cohort: Cohort) -> None:
    studies = cohort.keep([2, 0, 5])
    index = kept(studies)
    assert len(index) == 3
    for ours, theirs in zip(index, studies, strict=True):
        for field in fields(theirs):
            mine, other = getattr(ours, field.name), getattr(theirs, field.name)
            assert type(mine) is type(other), field.name
            assert np.array_equal(mine, other) if isinstance(other, np.ndarray) else mine == other, field.name
    assert [study.id for study in index[1:]] == [studies[1].id, studies[2].id]


def test_samples_are_the_same_and_a_scan_that_is_gone_is_replaced_by_the_same_other(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", ())
    cohort[1].path.unlink()
    spec, index = InputSpec(cohort.spacing_mm, (8, 10, 5)), kept(cohort)
    for draw in [SampleDraw(i, 7 * i) for i in range(len(cohort))]:
        ours, theirs = (StudyCrops(of, spec, random_crop=True)[draw] for of in (index, cohort))
        assert isinstance(ours, Sample)
        assert isinstance(theirs, Sample)
        assert torch.equal(ours.volume, theirs.volume)
        assert (ours.id, ours.report, ours.labels, ours.seed) == (
            theirs.id,
            theirs.report,
            theirs.labels,
            theirs.seed,
        )
        assert [one.id for one in ours.unread] == [one.id for one in theirs.unread]
        assert bool(ours.unread) == (draw.index == 1)


def test_what_goes_to_a_loading_process_is_the_name_of_the_file_however_many_studies(cohort: Cohort) -> None:
    spec = InputSpec(cohort.spacing_mm, (8, 10, 5))
    many = replace(cohort, index=pl.concat([cohort.index] * 50))
    few, lots = (ForkingPickler.dumps(StudyCrops(kept(of), spec, random_crop=True)) for of in (cohort, many))
    assert len(few) == len(lots) < 2000
    assert b"lung" not in lots
    there = ForkingPickler.loads(lots)
    assert len(there) == len(many)
    assert there.studies[-1].id == many[-1].id


def test_other_studies_and_another_cohort_are_other_files_and_what_is_old_goes(cohort: Cohort) -> None:
    first, some = kept(cohort).mapped.path, kept(cohort.keep([1, 0])).mapped.path
    assert len({first, some, kept(cohort.keep([0, 1])).mapped.path}) == 3
    assert first.exists()
    index = cohort.index.with_columns(findings=pl.lit("Clear."))
    index.write_parquet(cohort.path / "studies.parquet")
    changed = open_cohort(cohort.path)
    assert {study.findings for study in kept(changed)} == {"Clear."}
    assert [path.name for path in first.parent.iterdir()] == [
        index_file(first.parent, changed).name
    ]  # a report that was taken away stays nowhere


def test_damaged_file_is_none_and_one_that_goes_is_one_line(cohort: Cohort) -> None:
    path = kept(cohort).mapped.path
    sent = ForkingPickler.dumps(
        replace(kept(cohort), volumes=path.parent)
    )  # a process that has not opened it yet
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert found_index(path, cohort) is None
    assert kept(cohort)[0].id == cohort[0].id
    path.unlink()
    with pytest.raises(SimcropError, match="gone or damaged"):
        ForkingPickler.loads(sent)


def test_cohort_that_cannot_be_written_keeps_none(cohort: Cohort) -> None:
    (cohort.path / "sentences").write_text("in the way")
    assert keep_index(index_file(cohort.path / "sentences", cohort), cohort) is None
