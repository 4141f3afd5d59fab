"""Among which volumes reports and scans look for one another: the pools that others use, by name.

Axes: s scan. Spacing in mm.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.data.volume import spacing_of
from simcrop.tasks.labelled import first_of_each

EVERY, FIRST = "all volumes", "first volume per study"
FINEST = "finest volume per study, no text twice"  # COLIPRI's
DIGITS = 3  # of mm: reconstructions that differ by less are equally fine


def pools_of(studies: Cohort, said_by: Sequence[int] | np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Name and rows of each; `said_by` `(s,)`: the number of each study's text, the same where two texts are."""
    yield EVERY, np.arange(len(studies))
    yield FIRST, first_of_each(studies)
    finest = first_of_each(studies, in_plane_mm(studies))
    yield FINEST, finest[np.sort(np.unique(np.asarray(said_by)[finest], return_index=True)[1])]


def in_plane_mm(studies: Cohort) -> np.ndarray:
    """`(s,)`: the spacing within the slices of each file, the mean of both axes that run least along the body."""
    affines = np.array(studies.index["source_affine"].to_list(), float).reshape(-1, 4, 4)
    spacing = np.array([spacing_of(affine) for affine in affines]).reshape(-1, 3)
    along = np.abs(affines[:, 2, :3]) / spacing
    across = np.take_along_axis(spacing, np.argsort(along, axis=1, kind="stable")[:, :2], axis=1)
    return across.mean(1).round(DIGITS)
