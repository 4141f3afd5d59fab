"""`benchmarks/retrieve.py`: its cohort is as large and as manifold as asked for, and only some scans are scored."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from simcrop.config import load_recipe
from simcrop.data.store.cohort import open_cohort


def test_cohort_has_labels_and_distinct_sentences_as_often_as_the_real_reports(
    script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    distinct = script("retrieve").write_cohort(tmp_path / "cohort", 120)
    cohort = open_cohort(tmp_path / "cohort")
    assert (len(cohort), len(cohort.labels)) == (120, 18)
    assert distinct / (120 * 16.3) == pytest.approx(9138 / 47_879, rel=0.15)


def test_so_many_scans_are_scored_as_asked_and_all_have_scores(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    retrieve = script("retrieve")
    for module, name in (
        (retrieve.scoring, "volumes_ahead"),
        (retrieve.kept, "sentence_scores"),
        (retrieve.fits, "load"),
        (retrieve.verb, "source_of"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # so that it is put back afterwards
    retrieve.write_cohort(tmp_path / "cohort", 10)
    studies = [*open_cohort(tmp_path / "cohort")]
    network = retrieve.MadeModel(load_recipe("simcrop-tiny"), 0)
    asked: list[int] = []
    made = network.regions_of
    monkeypatch.setattr(network, "regions_of", lambda volumes: (asked.append(len(volumes)), made(volumes))[1])
    retrieve.stand_in(network, 4)
    vectors = network.encode(["a", "b", "c"]).numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    passes = [studies[at : at + 2] for at in range(0, 10, 2)]
    scores = [*retrieve.kept.sentence_scores(network, vectors, passes, 5)]
    assert asked == [2, 2]
    assert [of.shape for of in scores] == [(2, 3)] * 5
