"""The loop that trains a head: AdamW on the head alone, warm-up and half a cosine, the best epoch is kept.

Axes: b scan of a batch, s scan, l label. Labels are 1, 0 or NaN (not known: left out of loss and figures).
"""

from dataclasses import dataclass, replace
from math import cos, pi

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from simcrop.evaluation.heads.classes import probabilities_of
from simcrop.evaluation.heads.held_out import held_out
from simcrop.evaluation.heads.probe import Tell, check, in_silence, threshold_of
from simcrop.evaluation.heads.settings import HeadSettings
from simcrop.evaluation.heads.tokens import Features, Tokens, at_once, batch_of, width_of
from simcrop.evaluation.heads.trained import (
    MODULES,
    Ended,
    LinearHead,
    TrainedHead,
    TrainedKind,
    Training,
    logits_of,
)
from simcrop.metrics import macro_auroc

SCANS_FOR_SCALE = 256


@dataclass(frozen=True, eq=False)
class Epoch:
    """`loss`: mean over the labels asked in it. The other figures are of held-out scans after it."""

    number: int
    step: int
    loss: float
    held_out_loss: float | None = None
    held_out_auroc: float | None = None
    state: dict[str, Tensor] | None = None
    exclusive: bool = False

    def better_than(self, other: "Epoch | None") -> bool:
        """By the AUROC; of equals, and of classes that exclude one another, by the smaller loss. Without held-out scans
        the last is the best.
        """
        if other is None or self.held_out_loss is None or other.held_out_loss is None:
            return True
        own, before = self.held_out_auroc or 0.0, other.held_out_auroc or 0.0
        if self.exclusive:
            own = before = 0.0
        return own > before or (own == before and self.held_out_loss < other.held_out_loss)


def fit_trained(
    kind: TrainedKind,
    features: Features,
    labels: np.ndarray,
    patients: np.ndarray,
    seed: int,
    settings: HeadSettings,
    exclusive: bool = False,
    tell: Tell = in_silence,
) -> TrainedHead:
    """Of the training scans; epoch and thresholds are chosen on patients held out of these, never on the test scans."""
    if isinstance(features, np.ndarray):
        check(features, labels)
        features = np.asarray(features, np.float32)
    learned = (labels == 1).any(0) & (labels == 0).any(0)
    out = held_out(labels, np.asarray(patients), seed)
    asked = ~np.isnan(labels[:, learned]).all(1)
    learn, held = np.flatnonzero(asked & ~out), np.flatnonzero(asked & out)
    generator = torch.Generator().manual_seed(seed)
    module = MODULES[kind](width_of(features), int(learned.sum()), settings.init_std, generator)
    module.scale.fill_(scale_of(features, learn))
    if isinstance(features, Tokens) and torch.cuda.is_available():
        module.cuda()
    truth = torch.from_numpy(labels[:, learned]).float()
    epochs, ended_by = trained(module, features, truth, learn, held, settings, exclusive, seed, tell)
    best = keep_best(module, epochs)
    module.cpu()
    unsaid = np.full(len(learned), np.nan)
    training = Training(
        epochs[-1].step,
        len(epochs),
        best.number,
        ended_by,
        best.loss,
        best.held_out_loss,
        best.held_out_auroc,
    )
    head = TrainedHead(kind, module, learned, exclusive, unsaid, training)
    if len(held) and not exclusive:
        columns = zip(head.scores(features[held]).T, labels[held].T, strict=True)
        unsaid[:] = [
            threshold_of(scores, of) if not np.isnan(scores).all() else np.nan for scores, of in columns
        ]
    return head


def trained(
    module: LinearHead,
    features: Features,
    truth: Tensor,
    learn: np.ndarray,
    held: np.ndarray,
    settings: HeadSettings,
    exclusive: bool,
    seed: int,
    tell: Tell,
) -> tuple[list[Epoch], Ended]:
    """All epochs, of which only the best has its state; it ends at the last step exactly, or by patience."""
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True
    )
    order, step = np.random.default_rng((seed, 3)), 0
    epochs: list[Epoch] = []
    best: Epoch | None = None
    while step < settings.steps:
        loss = known = 0.0
        shuffled = order.permutation(learn)
        for start in range(0, len(shuffled), settings.batch):
            if step == settings.steps:
                break
            rows = shuffled[start : start + settings.batch]
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, settings)
            of_batch, asked = take_step(
                module, optimizer, features, truth, rows, settings.clip_grad, exclusive
            )
            loss, known, step = loss + of_batch, known + asked, step + 1
            tell(1)
        epoch = judged(Epoch(len(epochs) + 1, step, loss / known), module, features, truth, held, exclusive)
        if epoch.better_than(best):
            best = replace(epoch, state={name: of.clone() for name, of in module.state_dict().items()})
        epochs.append(epoch)
        assert best is not None
        waited = sum(1 for each in epochs[best.number :] if each.step > settings.warmup)
        if len(held) and waited >= settings.patience and step < settings.steps:
            tell(settings.steps - step)
            return with_best(epochs, best), "patience"
    assert best is not None
    return with_best(epochs, best), "steps"


def with_best(epochs: list[Epoch], best: Epoch) -> list[Epoch]:
    return [best if each.number == best.number else each for each in epochs]


def keep_best(module: nn.Module, epochs: list[Epoch]) -> Epoch:
    """The module as it was after its best epoch."""
    best = next(each for each in epochs if each.state is not None)
    module.load_state_dict(best.state or {})
    return best


def rate_at(step: int, settings: HeadSettings) -> float:
    """Of the step numbered `step`, from 0, which has a rate already; past the last one it stays at nothing."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    done = min(1.0, (step - settings.warmup) / (settings.steps - settings.warmup))
    return settings.lr * 0.5 * (1 + cos(pi * done))


def take_step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    features: Features,
    truth: Tensor,
    rows: np.ndarray,
    clip_grad: float,
    exclusive: bool,
) -> tuple[float, float]:
    """One step on the mean loss of a batch, made of parts that fit into memory: the sum of its losses, and of how many
    labels (scans, where these exclude one another).
    """
    device, size = next(module.parameters()).device, at_once(features)
    asked = asked_of(truth[rows], exclusive)
    optimizer.zero_grad()
    total = 0.0
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        values, there = batch_of(features, some)
        logits = module(values.to(device), None if there is None else there.to(device))
        loss = summed_loss(logits, truth[some].to(device), exclusive)
        (loss / asked).backward()
        total += loss.item()
    nn.utils.clip_grad_norm_(module.parameters(), clip_grad)
    optimizer.step()
    return total, asked


def asked_of(truth: Tensor, exclusive: bool) -> float:
    """How many losses a mean is over."""
    known = ~truth.isnan()
    return float((known.any(1) if exclusive else known).sum())


def summed_loss(logits: Tensor, truth: Tensor, exclusive: bool) -> Tensor:
    """Binary cross-entropy of every known label, or cross-entropy of every scan whose class is known."""
    known, truth = ~truth.isnan(), truth.nan_to_num()
    if exclusive:
        return -(truth * logits.log_softmax(1)).sum()
    return ((softplus(logits) - truth * logits) * known).sum()


def judged(
    epoch: Epoch, module: nn.Module, features: Features, truth: Tensor, held: np.ndarray, exclusive: bool
) -> Epoch:
    """The epoch with what the module reaches now on the held-out scans."""
    if not len(held):
        return epoch
    logits, known = logits_of(module, features, held), truth[held]
    loss = float(summed_loss(logits, known, exclusive)) / asked_of(known, exclusive)
    auroc = macro_auroc(probabilities_of(logits.double().numpy(), exclusive), known.numpy()).value
    return replace(
        epoch,
        held_out_loss=loss,
        held_out_auroc=None if np.isnan(auroc) else auroc,
        exclusive=exclusive,
    )


def scale_of(features: Features, rows: np.ndarray) -> float:
    """How far the features of one scan (or token) are spread, on average over some scans; 1 where they are not."""
    some = rows[np.unique(np.linspace(0, len(rows) - 1, SCANS_FOR_SCALE).astype(int))]
    if isinstance(features, Tokens):
        spread = [
            np.var(features.read(int(place)).astype(np.float64), 1).mean() for place in features.places[some]
        ]
    else:
        spread = np.var(features[some].astype(np.float64), 1)
    return float(np.sqrt(np.mean(spread))) or 1.0
