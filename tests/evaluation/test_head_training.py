"""Heads trained by steps: against an obvious loop, and without the faults of the public code.

Axes: s scan, n token, d features, l label.
"""

from dataclasses import replace
from math import cos, pi, sqrt

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

from simcrop.evaluation.heads.held_out import held_out
from simcrop.evaluation.heads.settings import HeadSettings
from simcrop.evaluation.heads.tokens import Tokens
from simcrop.evaluation.heads.trained import AttentionHead, LinearHead, attended
from simcrop.evaluation.heads.training import (
    Epoch,
    asked_of,
    fit_trained,
    rate_at,
    scale_of,
    summed_loss,
    trained,
)

NAN = float("nan")
SETTINGS = HeadSettings(batch=8, lr=1e-2, steps=30, warmup=5, patience=50)


def world(seed: int, scans: int = 90, labels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and patients (two scans each): every label has a direction of its own."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((scans, labels)) < 0.4).astype(float)
    features = rng.normal(size=(scans, 11)) + truth @ np.eye(11)[:labels] * 2
    return features.astype(np.float32), truth, np.arange(scans) // 2


def tokens_of(values: list[np.ndarray]) -> Tokens:
    return Tokens(lambda place: values[place], np.arange(len(values)), values[0].shape[1])


def obvious_loop(
    features: np.ndarray,
    truth: np.ndarray,
    settings: HeadSettings,
    exclusive: bool,
    seed: int,
    start: LinearHead,
) -> tuple[list[torch.Tensor], list[float]]:
    """Every line as one would write it first; the rates as the schedule is said in words."""
    head = nn.Sequential(nn.LayerNorm(features.shape[1]), nn.Linear(features.shape[1], truth.shape[1]))
    head[0].load_state_dict(start.norm.state_dict())
    head[1].load_state_dict(start.linear.state_dict())
    scaled = torch.from_numpy(features) / start.scale
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    order, step, epochs = np.random.default_rng((seed, 3)), 0, []
    while step < settings.steps:
        rows, losses = order.permutation(len(features)), []
        for batch in np.split(rows, range(settings.batch, len(rows), settings.batch)):
            if step == settings.steps:
                break
            if step < settings.warmup:
                rate = settings.lr * (step + 1) / settings.warmup
            else:
                part = (step - settings.warmup) / (settings.steps - settings.warmup)
                rate = settings.lr * (1 + cos(pi * part)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate
            asked, logits = torch.from_numpy(truth[batch]).float(), head(scaled[batch])
            if exclusive:
                each = nn.functional.cross_entropy(logits, asked.argmax(1), reduction="none")
            else:
                known = ~asked.isnan()
                each = nn.functional.binary_cross_entropy_with_logits(
                    logits[known], asked[known], reduction="none"
                )
            losses += each.tolist()
            optimizer.zero_grad()
            each.mean().backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), settings.clip_grad)
            optimizer.step()
            step += 1
        epochs.append(float(np.mean(losses)))
    return list(head.parameters()), epochs


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("batch", [8, 89, 1000], ids=["last-smaller", "last-of-one", "larger-than-all"])
def test_steps_are_those_of_an_obvious_loop(exclusive: bool, batch: int) -> None:
    """Weights after every step that was taken, and losses of epochs as means over labels: also where the last batch
    is a single scan, and where 30 steps are no whole number of epochs.
    """
    features, truth, _ = world(0)
    if exclusive:
        truth = np.eye(3)[np.random.default_rng(1).integers(0, 3, len(features))]
    else:
        truth[:20, 1] = NAN
    settings = replace_settings(batch=batch)
    module = LinearHead(11, 3, 0.02, torch.Generator().manual_seed(0))
    module.scale.fill_(3.0)
    start = LinearHead(11, 3)
    start.load_state_dict(module.state_dict())
    every, nobody = np.arange(len(features)), np.array([], int)
    epochs, ended_by = trained(
        module,
        features,
        torch.from_numpy(truth).float(),
        every,
        nobody,
        settings,
        exclusive,
        7,
        lambda _: None,
    )
    expected, losses = obvious_loop(features, truth, settings, exclusive, 7, start)
    assert (epochs[-1].step, ended_by) == (30, "steps")
    for found, wanted in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    np.testing.assert_allclose([epoch.loss for epoch in epochs], losses, rtol=1e-4)


def replace_settings(**changes: float) -> HeadSettings:
    return SETTINGS.model_copy(update=changes)


def test_rate_begins_above_nothing_rises_only_in_the_warm_up_and_never_again() -> None:
    settings = replace_settings(warmup=10, steps=40)
    rates = [rate_at(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(settings.lr / 10)
    assert rates[9] == rates[10] == settings.lr
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:41]) < 0).all()
    assert rates[40:] == [0.0] * 60
    assert rate_at(0, replace_settings(warmup=0)) == settings.lr


def test_first_step_moves_the_weights_by_the_rate_of_the_first_step() -> None:
    """AdamW's first step is as long as its rate, whatever the gradient; decay is nothing beside it."""
    features, truth, _ = world(0)
    module = LinearHead(11, 3)
    before = module.linear.weight.clone()
    settings = replace_settings(steps=2, warmup=1, batch=90)
    rows, nobody = np.arange(90), np.array([], int)
    one = settings.model_copy(update={"steps": 1})
    trained(module, features, torch.from_numpy(truth).float(), rows, nobody, one, False, 0, lambda _: None)
    moved = (module.linear.weight - before).abs()
    assert moved.median().item() == pytest.approx(settings.lr, rel=1e-2)


def test_losses_and_gradients_of_unknown_labels_are_none() -> None:
    logits = torch.randn(6, 3, requires_grad=True, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([[1, 0, NAN], [0, NAN, 1], [NAN, 1, 0], [1, 1, 0], [0, 0, NAN], [NAN, NAN, NAN]])
    loss = summed_loss(logits, truth, exclusive=False)
    loss.backward()
    known = ~truth.isnan()
    likely = logits.sigmoid()
    by_hand = -torch.where(truth == 1, likely.log(), (1 - likely).log())[known].sum()
    torch.testing.assert_close(loss, by_hand)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[known], (likely - truth)[known].detach())
    assert (logits.grad[~known] == 0).all()
    assert asked_of(truth, exclusive=False) == 11


def test_loss_of_classes_is_that_of_scikit_learn() -> None:
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    classes = np.array([0, 1, 2, 3, 0, 1, 2, 3, 3])
    truth = torch.from_numpy(np.eye(4)[classes]).float()
    truth[2] = NAN
    known = np.arange(9) != 2
    expected = log_loss(classes[known], logits.softmax(1)[known].numpy(), labels=range(4))
    found = summed_loss(logits, truth, exclusive=True).item() / asked_of(truth, exclusive=True)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("lengths", [(5, 5, 5), (5, 2, 7)])
def test_attention_is_a_mean_weighted_by_softmax(lengths: tuple[int, ...]) -> None:
    """Token by token, also where scans differ in how many they have."""
    rng = np.random.default_rng(0)
    scans = [rng.normal(size=(n, 4)).astype(np.float32) for n in lengths]
    query, scale = rng.normal(size=4).astype(np.float32), 2.5
    slow = []
    for tokens in scans:
        raised = [np.exp(np.dot(token / scale, query) / sqrt(4)) for token in tokens]
        slow.append(sum(w / sum(raised) * token / scale for w, token in zip(raised, tokens, strict=True)))
    values, there = tokens_of(scans).batch(np.arange(3))
    assert (there is None) == (len(set(lengths)) == 1)
    found = attended(values, torch.from_numpy(query), torch.tensor(scale), there)
    np.testing.assert_allclose(found.numpy(), slow, atol=1e-5)


def test_attention_begins_as_the_linear_head_on_the_mean() -> None:
    rng = np.random.default_rng(0)
    tokens = torch.from_numpy(rng.normal(size=(4, 6, 5)).astype(np.float32))
    attention = AttentionHead(5, 2, 0.1, torch.Generator().manual_seed(1))
    linear = LinearHead(5, 2, 0.1, torch.Generator().manual_seed(1))
    torch.testing.assert_close(attention(tokens), linear(tokens.mean(1)))


def test_tokens_are_read_in_batches_and_a_batch_is_what_it_is_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gradient of a batch does not depend on how many scans fit into memory."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(3, 5)).astype(np.float32) for _ in range(24)]
    truth, heads = (rng.random((24, 2)) < 0.5).astype(float), []
    for size in (5, 100):
        monkeypatch.setattr("simcrop.evaluation.heads.tokens.SCANS_AT_ONCE", size)
        settings = replace_settings(batch=20, steps=12)
        heads.append(fit_trained("attention", tokens_of(values), truth, np.arange(24), 0, settings))
    for one, other in zip(*(head.module.parameters() for head in heads), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_ends_by_patience_after_the_warm_up_and_keeps_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    features, truth, patients = world(3)
    reached = iter([0.6, 0.7, 0.9, *[0.8] * 50])

    def judged(epoch: Epoch, module: nn.Module, *_: object) -> Epoch:
        states.append(module.linear.weight.clone())  # pyright: ignore[reportAttributeAccessIssue]
        return replace(epoch, held_out_loss=1.0, held_out_auroc=next(reached))

    states: list[torch.Tensor] = []
    monkeypatch.setattr("simcrop.evaluation.heads.training.judged", judged)
    told: list[int] = []
    settings = replace_settings(batch=100, steps=200, warmup=12, patience=6)  # one step is an epoch
    head = fit_trained("linear", features, truth, patients, 0, settings, tell=told.append)
    training = head.training
    assert (training.ended_by, training.steps, training.epochs, training.best_epoch) == (
        "patience",
        18,
        18,
        3,
    )
    assert sum(told) == settings.steps  # what is left is told, too
    assert torch.equal(head.module.linear.weight, states[2])
    assert (training.held_out_auroc, training.held_out_loss) == (0.9, 1.0)


def test_of_epochs_with_one_auroc_the_smaller_loss_is_better() -> None:
    first = Epoch(1, 1, 0.5, held_out_loss=0.4, held_out_auroc=0.8)
    assert replace(first, held_out_loss=0.3).better_than(first)
    assert not replace(first, held_out_loss=0.4).better_than(first)
    assert not replace(first, held_out_auroc=0.7, held_out_loss=0.1).better_than(first)
    classes = replace(first, exclusive=True)
    assert replace(classes, held_out_auroc=0.7, held_out_loss=0.1).better_than(classes)
    assert Epoch(2, 2, 9.0).better_than(Epoch(1, 1, 0.1))  # nobody held out: the last


def test_held_out_patients_are_whole_and_leave_every_label_both_kinds() -> None:
    """A fifth of the patients, none whose scans alone have a label, for any seed."""
    rng = np.random.default_rng(0)
    labels = (rng.random((60, 3)) < 0.4).astype(float)
    labels[:, 2] = 0
    labels[[10, 11], 2] = 1  # one patient alone
    patients = np.arange(60) // 2
    for seed in range(20):
        out = held_out(labels, patients, seed)
        assert out.sum() == 12
        assert (out[::2] == out[1::2]).all()
        assert not out[10]
    assert not held_out(labels[:2], patients[:2], 0).any()


def test_choice_never_sees_scans_beyond_the_training_ones_and_seeds_repeat() -> None:
    features, truth, patients = world(0)
    first, again = (fit_trained("linear", features, truth, patients, 3, SETTINGS) for _ in range(2))
    assert np.array_equal(first.scores(features), again.scores(features))
    other = fit_trained("linear", features, truth, patients, 4, SETTINGS)
    assert not np.array_equal(first.scores(features), other.scores(features))


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scale_of_an_encoder_does_not_matter(factor: float) -> None:
    """The norm's own constant would swallow features of a millionth."""
    features, truth, patients = world(0)
    plain = fit_trained("linear", features, truth, patients, 0, SETTINGS)
    scaled = fit_trained("linear", features * np.float32(factor), truth, patients, 0, SETTINGS)
    np.testing.assert_allclose(
        scaled.scores(features * np.float32(factor)), plain.scores(features), atol=1e-3
    )
    assert scale_of(np.ones((4, 3), np.float32), np.arange(4)) == 1.0


def test_labels_of_one_kind_are_not_learned_and_a_lone_patient_holds_nobody_out() -> None:
    features, truth, _ = world(0, scans=8)
    truth[:, 2] = 0
    truth[:2, :2] = [[1, 0], [0, 1]]
    head = fit_trained("linear", features, truth, np.zeros(8), 0, SETTINGS)
    scores = head.scores(features)
    assert np.isnan(scores[:, 2]).all()
    assert np.isfinite(scores[:, :2]).all()
    assert np.isnan(head.thresholds).all()
    assert (head.training.held_out_auroc, head.training.steps) == (None, 30)
