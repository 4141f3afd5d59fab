"""Vectors of the cohort's studies, and of scans that are compared with them, kept while the viewer runs.

Axes: s study, d features.
"""

import numpy as np

from simcrop.tasks.features.source import FeatureSource
from simcrop.tasks.retrieval.similar_page import Query
from simcrop.viewer.kept import Kept


class Vectors:
    """Of all studies of the cohort, made once; and of scans in files of their own, the latest of them."""

    def __init__(self) -> None:
        self.rows: np.ndarray | None = None
        self.source: FeatureSource | None = None
        self.queries = Kept[Query](64, lambda _: 1)
