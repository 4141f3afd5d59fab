"""Which volumes make the pools of `simcrop retrieve`, by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.data.store.cohort import Cohort
from simcrop.tasks.retrieval.judged import between
from simcrop.tasks.retrieval.pools import EVERY, FINEST, FIRST, in_plane_mm, pools_of

# Spacing by axis of the file, x y z: a's second volume is finer within its slices, its third along the body alone.
SPACING = {"a_1": (0.8, 0.8, 1), "a_2": (0.7, 0.7, 5), "a_3": (0.8, 0.8, 0.5), "b_1": (0.7, 0.7, 1)}
SPACING |= {"b_2": (0.70001, 0.69998, 1), "c_1": (1, 1, 1), "d_1": (1, 1, 1)}
TEXTS = ["calm", "calm", "calm", "clear", "clear", "calm", "nodule"]


def cohort(turned: bool = False) -> Cohort:
    """`turned`: the file's first axis runs along the body."""
    affines = [np.diag([-x, y, z, 1.0]) for x, y, z in SPACING.values()]
    if turned:
        affines = [affine[:, [2, 0, 1, 3]] for affine in affines]
    patients = [name[0] for name in SPACING]
    index = pl.DataFrame(
        {
            "id": [*SPACING],
            "patient": patients,
            "scan": patients,
            "source_affine": [affine.ravel().tolist() for affine in affines],
        }
    )
    return Cohort(Path("toy"), (1.0, 1.0, 1.0), (-1000.0, 1000.0), index, index.clear())


@pytest.mark.parametrize("turned", [False, True])
def test_finest_volume_of_each_study_is_that_of_its_slices_and_no_text_comes_twice(turned: bool) -> None:
    studies, said_by = cohort(turned), np.unique(TEXTS, return_inverse=True)[1]
    np.testing.assert_allclose(in_plane_mm(studies), [0.8, 0.7, 0.8, 0.7, 0.7, 1, 1])
    ids = [*SPACING]
    found = {name: [ids[row] for row in rows] for name, rows in pools_of(studies, said_by)}
    assert found == {
        EVERY: ids,
        FIRST: ["a_1", "b_1", "c_1", "d_1"],
        FINEST: ["a_2", "b_1", "d_1"],  # of b both are as fine; c says what a says
    }


def test_among_the_finest_a_report_has_one_scan_that_counts() -> None:
    fits = np.eye(len(TEXTS))
    found = [one for one in between(fits, cohort(), TEXTS, 0) if one.pool == FINEST]
    assert [one.direction for one in found] == ["report -> scan", "scan -> report"]
    for one in found:
        assert (one.queries, one.candidates, one.recall[1].value) == (3, 3, 1)
        assert one.chance[1] == pytest.approx(1 / 3)
