"""The inner loops of resampling, as machine code.

Axes: j row and i column of a stored plane; weights `(n, w)` of `w` neighbours from `first` `(n,)` on. HU, float32.
"""

import numpy as np

from simcrop.jit import compiled


@compiled
def weigh_rows(
    plane: np.ndarray,
    first: np.ndarray,
    weights: np.ndarray,
    slope: float,
    intercept: float,
    padding: np.float32,
    no_matter: np.float32,
    air: np.float32,
    out: np.ndarray,
) -> None:
    """`out[n]` is the weighted sum of rows in HU; what equals `padding` or lies below `no_matter` is air."""
    shift = np.float32(intercept)
    for n in range(out.shape[0]):
        out[n, :] = 0
        for w in range(weights.shape[1]):
            weight, row = weights[n, w], plane[first[n] + w]
            if weight != 0 and slope == 1:
                for i in range(out.shape[1]):
                    value = np.float32(row[i]) + shift
                    out[n, i] += weight * (air if value < no_matter or value == padding else value)
            elif weight != 0:
                for i in range(out.shape[1]):
                    value = np.float32(row[i] * slope + intercept)
                    out[n, i] += weight * (air if value < no_matter or value == padding else value)


@compiled
def weigh_columns(rows: np.ndarray, first: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """`out[:, n]` is the weighted sum of columns; two of them, as a rule, which has a loop of its own for its speed."""
    if weights.shape[1] == 2:
        below, above = weights[:, 0].copy(), weights[:, 1].copy()
        for j in range(out.shape[0]):
            row = rows[j]
            for n in range(out.shape[1]):
                out[j, n] = below[n] * row[first[n]] + above[n] * row[first[n] + 1]
        return
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
