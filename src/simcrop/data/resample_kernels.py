"""The inner loops of resampling, as machine code.

Axes: j row and i column of a stored plane; weights `(n, w)` of `w` neighbours from `first` `(n,)` on. HU, float32.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The bare function, whatever checks a test run has wrapped around it."""
    return njit(cache=True, nogil=True, error_model="numpy")(inspect.unwrap(function))


@compiled
def to_hu(
    plane: np.ndarray,
    needed: np.ndarray,
    slope: float,
    intercept: float,
    padding: np.float32,
    no_matter: np.float32,
    air: np.float32,
    hu: np.ndarray,
) -> None:
    """Rescale the needed rows; what equals `padding` or lies below `no_matter` is air."""
    for j in range(plane.shape[0]):
        if needed[j]:
            for i in range(plane.shape[1]):
                value = np.float32(plane[j, i] * slope + intercept)
                hu[j, i] = air if value < no_matter or value == padding else value


@compiled
def weigh_rows(rows: np.ndarray, first: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """`out[n]` is the weighted sum of rows."""
    for n in range(out.shape[0]):
        out[n, :] = 0
        for w in range(weights.shape[1]):
            weight, row = weights[n, w], first[n] + w
            if weight != 0:  # a row that nobody needs was never filled
                for i in range(out.shape[1]):
                    out[n, i] += weight * rows[row, i]


@compiled
def weigh_columns(rows: np.ndarray, first: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """`out[:, n]` is the weighted sum of columns."""
    for j in range(out.shape[0]):
        for n in range(out.shape[1]):
            total = np.float32(0)
            for w in range(weights.shape[1]):
                total += weights[n, w] * rows[j, first[n] + w]
            out[j, n] = total


@compiled
def add(plane: np.ndarray, weight: np.float32, to: np.ndarray) -> None:
    """`to += weight * plane`."""
    for j in range(plane.shape[0]):
        for i in range(plane.shape[1]):
            to[j, i] += weight * plane[j, i]
