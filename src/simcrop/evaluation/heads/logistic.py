"""Logistic regressions of many labels at once on the same features, to the minimum of a convex loss.

Axes: s scan, d features, k principal components: as many as the fewer of s and d, l label.

For each label the loss is the mean over its known scans of log(1 + exp(-y z)), plus
|w|^2 / (2 C n): that of scikit-learn, whose solver passes over all features once per label and step. Here one product
serves all labels, and steps are taken where the loss is about as steep in every direction: along the principal
components of the features, each divided by the root of its curvature where all weights are zero. Of labels that
exclude one another the loss is the mean of -log softmax(z) of the true one, and the same penalty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.nn.functional import softplus

STEPS, GRADIENT = 2000, 1e-6  # at most; the largest slope, of any label in any direction, that counts as none
ROUGH = 1e-4  # the same where strengths are only compared


@dataclass(frozen=True, eq=False)
class StandardFeatures:
    """`values`: standardised features, float64, on the device that computes; `axes`: their principal components, one
    in each column; `variance` along each.
    """

    values: Float[Tensor, "s d"]
    axes: Float[Tensor, "d k"]
    variance: Float[Tensor, " k"]


def prepare(standard: np.ndarray) -> StandardFeatures:
    """What all strengths and labels share; on a CUDA device where there is one."""
    values = torch.from_numpy(standard).to("cuda" if torch.cuda.is_available() else "cpu", torch.float64)
    if len(values) < values.shape[1]:  # in other directions no scan differs, and weights stay at zero
        _, spread, rows = torch.linalg.svd(values, full_matrices=False)
        return StandardFeatures(values, rows.T.contiguous(), spread.square() / len(values))
    variance, axes = torch.linalg.eigh(values.T @ values / len(values))
    return StandardFeatures(values, axes, variance.clamp(min=0))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """For NumPy and SciPy. Theirs stay awake between the short sums of a solver and keep those of torch, which does the
    work, from the cores: all of it takes fifteen times as long.
    """
    with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
        yield


@one_blas_thread()
def fit_logistic(
    features: StandardFeatures,
    labels: np.ndarray,
    strength: float,
    near: tuple[np.ndarray, np.ndarray] | None = None,
    gradient: float = GRADIENT,
    exclusive: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights `(l, d)` and bias `(l,)` at C = `strength`. `labels` `(s, l)` are 1, 0 or NaN, each with both among its
    scans; if `exclusive`, one 1 in each row or nothing but NaN. `near`: weights and bias to begin with, such as those
    of another strength.
    """
    truth = torch.from_numpy(labels).to(features.values)
    known = ~truth.isnan()
    truth, count = truth.nan_to_num(), known.sum(0)
    share = (truth * known).sum(0) / count
    penalty = 1 / (strength * count)
    curvature = (share * (1 - share))[:, None]
    slopes = torch.cat([curvature * features.variance + penalty[:, None], curvature], 1).sqrt()
    start = torch.zeros_like(slopes)
    start[:, -1] = share.log() if exclusive else share.logit()
    if near is not None:
        weights, bias = (torch.from_numpy(part).to(slopes) for part in near)
        start = torch.cat([weights @ features.axes, bias[:, None]], 1)
    start *= slopes

    def weights_of(point: np.ndarray) -> tuple[Tensor, Tensor]:
        scaled = torch.from_numpy(point).to(slopes).view_as(slopes) / slopes
        return scaled[:, :-1] @ features.axes.T, scaled[:, -1]

    def loss_at(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = weights_of(point)
        logits = features.values @ weights.T + bias
        likely, losses = asked(logits, truth, exclusive)
        each = (losses * known).sum(0) / count
        total = each.sum() + (penalty * weights.square().sum(1)).sum() / 2
        error = (likely - truth) * known / count
        slope = (error.T @ features.values + penalty[:, None] * weights) @ features.axes
        steep = torch.cat([slope, error.sum(0)[:, None]], 1) / slopes
        return total.item(), steep.flatten().cpu().numpy()

    found = minimize(
        loss_at,
        start.flatten().cpu().numpy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": STEPS, "maxfun": 2 * STEPS, "gtol": gradient, "ftol": 0, "maxcor": 20},
    )
    weights, bias = weights_of(found.x)
    return weights.cpu().numpy(), bias.cpu().numpy()


def asked(
    logits: Float[Tensor, "s l"], truth: Float[Tensor, "s l"], exclusive: bool
) -> tuple[Float[Tensor, "s l"], Float[Tensor, "s l"]]:
    """Probability and loss of every label; the losses of labels that exclude one another add up to that of the scan."""
    if exclusive:
        logs = logits.log_softmax(1)
        return logs.exp(), -truth * logs
    return logits.sigmoid(), softplus(logits) - truth * logits
