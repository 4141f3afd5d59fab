"""The vectors nearest to another one, by exact search. Axes: s scan, q query, k of the nearest, d features."""

from typing import NamedTuple

import numpy as np

from simcrop.errors import SimcropError


class Nearest(NamedTuple):
    """Rows of the nearest, nearest first, and their cosines: `(k,)` of one query, `(q, k)` of several."""

    indices: np.ndarray
    cosines: np.ndarray


def nearest(features: np.ndarray, query: np.ndarray, k: int) -> Nearest:
    """The `k` rows of `(s, d)` with the largest cosine to `query`, `(d,)` or `(q, d)`; of equal ones the earlier first.

    A `k` above s means all; the cosine with a vector of zeros is 0. Raises SimcropError for numbers that are none and
    for vectors of another width.
    """
    features, query = np.asarray(features), np.asarray(query)
    if features.ndim != 2 or query.ndim not in {1, 2} or features.shape[1] != query.shape[-1]:
        raise SimcropError(
            "bad-features",
            "features (s, d) and a query (d,) or (q, d) of one width are wanted, "
            f"got {features.shape} and {query.shape}",
        )
    if not (np.isfinite(features).all() and np.isfinite(query).all()):
        raise SimcropError("not-finite", "features or query have numbers that are none (NaN or infinite)")
    if k < 1:
        raise SimcropError("bad-setting", f"k wants a number above 0, got {k}")
    queries = np.atleast_2d(query)
    lengths = np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(features, axis=1))
    cosines = np.clip(queries @ features.T / np.maximum(lengths, 1e-30), -1, 1)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    found = Nearest(order, np.take_along_axis(cosines, order, axis=1))
    return found if query.ndim == 2 else Nearest(found.indices[0], found.cosines[0])
