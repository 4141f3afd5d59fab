"""Features brought to one scale: encoders live on very different ones. Axes: s scan, d features."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

View = Literal["zscore", "raw", "l2"]
# Between equals the first wins.
VIEWS: tuple[View, ...] = ("zscore", "raw", "l2")
STILL = 1e-8  # the deviation up to which a feature never changes, and says nothing


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is done to features: `zscore` brings each to deviation 1, `raw` divides all by one number, so that they
    keep their relative sizes, `l2` does so after each scan's vector was brought to length 1. `mean` and `scale`
    `(d,)`.
    """

    view: View
    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Float64 `(s, d)`."""
        return (directed(features, self.view) - self.mean) / self.scale


def directed(features: np.ndarray, view: View) -> np.ndarray:
    """Of length 1 for `l2`; a vector of zeros stays."""
    if view != "l2":
        return features
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)


def scaling_of(features: np.ndarray, view: View) -> Scaling:
    """Learned from training scans."""
    values = directed(features, view)
    mean, spread = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    scale = spread if view == "zscore" else np.full(len(spread), np.sqrt((spread**2).mean()))
    return Scaling(view, mean, np.where(scale > STILL, scale, 1.0))
