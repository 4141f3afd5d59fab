"""What a probe learns from and what it is judged by: labels and patients of two splits of one cohort.

Axes: s scan, l label.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.layouts import LAYOUTS
from simcrop.data.store.cohort import Cohort
from simcrop.evaluation.heads.classes import one_of
from simcrop.evaluation.heads.settings import LabelKind
from simcrop.tasks.labelled import (
    label_matrix,
    labelled,
    patients_of,
    refuse_shared_patients,
    refuse_unvarying,
    rows_in,
)


@dataclass(frozen=True, eq=False)
class Sides:
    """Labels and patients of the training and of the test scans, and where these stand in the cohort. `exclusive`:
    every scan has exactly one of the labels.
    """

    names: list[str]
    training: Cohort
    testing: Cohort
    rows: np.ndarray
    test_rows: np.ndarray
    truth: np.ndarray
    test_truth: np.ndarray
    patients: np.ndarray
    test_patients: np.ndarray
    exclusive: bool = False

    @property
    def label_kind(self) -> LabelKind:
        if self.exclusive:
            return "exclusive"
        return "one" if len(self.names) == 1 else "several"


def both_sides(cohort: Cohort, train: str, test: str, exclusive: bool | None = None) -> Sides:
    """What can be learned from and judged by; refused where that would be dishonest, or nothing.

    `exclusive`: whether labels exclude one another; as the cohort's layout says unless said.
    """
    training, testing = labelled(cohort, train), labelled(cohort, test)
    refuse_shared_patients(training, testing, f"splits {train!r} and {test!r} share")
    truth, test_truth = label_matrix(training), label_matrix(testing)
    if exclusive is None:
        exclusive = cohort.layout in LAYOUTS and LAYOUTS[cohort.layout].exclusive
    if exclusive:
        truth = one_of(truth, f"{cohort.path}, split {train!r}")
        test_truth = one_of(test_truth, f"{cohort.path}, split {test!r}")
    refuse_unvarying(truth, test_truth, train, test)
    rows = rows_in(cohort, training), rows_in(cohort, testing)
    patients = patients_of(training), patients_of(testing)
    return Sides(cohort.labels, training, testing, *rows, truth, test_truth, *patients, exclusive)
