"""Features of augmented views of the training scans, each encoded once, as further rows that a probe learns from.

Axes: v further view, t training scan, r row (scans of the cohort, then of each view the training scans), d features.
"""

from collections.abc import Mapping

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.tasks.features.cohort_features import kept_features
from simcrop.tasks.features.source import FeatureSource, FromModel

Key = tuple[float, int]


def refuse_views(views: int, source: FeatureSource) -> None:
    """Said before anything is encoded."""
    if views < 1:
        raise SimcropError("bad-setting", f"--views wants at least one, the scan as it is; got {views}")
    if views > 1 and not isinstance(source, FromModel):
        raise SimcropError(
            "bad-setting", "--views wants a model: features that were made elsewhere are of one view"
        )


def with_views(
    features: np.ndarray,
    source: FeatureSource,
    cohort: Cohort,
    rows: np.ndarray,
    pool: str,
    views: int,
    random_seed: int | None = None,
) -> np.ndarray:
    """`(r, d)`: the cohort's own `features`, then view after view those of the training scans in `rows`."""
    if views == 1 or not isinstance(source, FromModel):
        return features
    training = cohort.keep(rows.tolist())
    more = [kept_features(source.folder, training, pool, random_seed, view) for view in range(1, views)]
    return np.concatenate([features, *more])


def rows_with_views(
    scans: int, rows: np.ndarray, truth: np.ndarray, patients: np.ndarray, views: int
) -> dict[str, np.ndarray]:
    """Where these lie, and what is known of them: a view has its scan's labels and patient."""
    further = [scans + view * len(rows) + np.arange(len(rows)) for view in range(views - 1)]
    return {
        "rows": np.concatenate([rows, *further]),
        "truth": np.tile(truth, (views, 1)),
        "patients": np.tile(patients, views),
    }


def drawn_with_views(drawn: Mapping[Key, np.ndarray], views: int) -> dict[Key, np.ndarray]:
    """Whoever is drawn is drawn with every view."""
    return {key: np.tile(those, views) for key, those in drawn.items()}
