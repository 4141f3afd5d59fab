"""Supervised labels on a toy batch: unknown ones are left out, known ones learned by heart."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from simcrop.config import flat, load_recipe
from simcrop.errors import SimcropError
from simcrop.objectives.supervised import HeadSettings, LabelHead, known_label_loss

NAMES = {"head": {"labels": ["nodule", "effusion", "lung"]}}
NAN = float("nan")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_loss_is_the_mean_over_known_labels_by_hand() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, 50.0]], requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [1.0, NAN]])
    by_hand = (-torch.tensor([0.5, 1 / (1 + torch.e**2), 1 / (1 + torch.e**-1)]).log()).mean()
    found = known_label_loss(logits, labels)
    torch.testing.assert_close(found, by_hand)
    found.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[1, 1] == 0


def test_loss_without_a_known_label_is_0_and_can_be_back_propagated() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    found = known_label_loss(logits, torch.full((2, 3), NAN))
    found.backward()
    assert found == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_batch_carries_labels_in_the_order_of_their_names_and_nan_where_unknown(build: Callable) -> None:
    _, batch = build("supervised", head={"labels": ["lung", "nodule"]})
    expected = torch.tensor([[1, 1], [NAN, 0], [0, NAN], [1, 1]])
    torch.testing.assert_close(batch.labels, expected, equal_nan=True)


@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_one_batch_is_learned_by_heart_on_all_patches(
    build: Callable, learn_by_heart: Callable, pool: str
) -> None:
    objective, batch = build("supervised", head={**NAMES["head"], "pool": pool})
    seen: list[int] = []
    handle = objective.vision.register_forward_hook(lambda *args: seen.append(args[2].patches.shape[1]))
    first, last = learn_by_heart(objective, batch, steps=40)
    handle.remove()
    assert set(first) == {"labels"} == set(objective.terms)
    assert last["labels"] < first["labels"] / 10
    assert set(seen) == {objective.grid.count}
    known = ~batch.labels.isnan()
    logits = objective.head(objective.vision(batch.volume).patches)
    assert torch.equal((logits > 0)[known], (batch.labels > 0.5)[known])


def test_every_parameter_has_a_gradient(build: Callable) -> None:
    objective, batch = build("supervised", **NAMES)
    objective.losses(batch)["labels"].backward()
    assert all(p.grad is not None for p in objective.parameters())
    assert not objective.skips_parameters


def test_head_pools_then_norms(build: Callable) -> None:
    objective, _ = build("supervised", **NAMES)
    features = torch.randn(2, 5, 36)
    settings = objective.settings.head
    for pool, pooled in (("mean", features.mean(1)), ("max", features.amax(1))):
        head = LabelHead(HeadSettings(pool=pool, labels=settings.labels), 36)
        normed = (pooled - pooled.mean(1, keepdim=True)) / pooled.std(1, keepdim=True, unbiased=False)
        torch.testing.assert_close(head(features), normed @ head.labels.weight.T, atol=1e-5, rtol=1e-4)


def test_attention_weighs_the_patches_of_each_label_on_its_own() -> None:
    head = LabelHead(HeadSettings(pool="attention", labels=("nodule", "lung")), 6)
    features = torch.randn(2, 5, 6, generator=seeded())
    normed = head.norm(features)
    torch.testing.assert_close(head(features), head.labels(normed).mean(1))  # at first the mean
    torch.nn.init.normal_(head.attention.weight, generator=seeded())
    asked, said = normed @ head.attention.weight.T, head.labels(normed)
    for b in range(2):
        for label in range(2):
            shares = torch.exp(asked[b, :, label]) / torch.exp(asked[b, :, label]).sum()
            by_hand = sum(share * value for share, value in zip(shares, said[b, :, label], strict=True))
            torch.testing.assert_close(head(features)[b, label], by_hand)


def test_labels_that_are_not_there_are_asked_for(build: Callable) -> None:
    objective, batch = build("supervised", **NAMES)
    with pytest.raises(SimcropError, match="no labels"):
        objective.losses(replace(batch, labels=None))
    with pytest.raises(SimcropError, match=r"head\.labels is empty"):
        build("supervised")


HEAD = "method", "head.", "claim."


@pytest.mark.parametrize(
    ("name", "base", "own"),
    [
        ("supervised-tiny", "simcrop-tiny", HEAD),
        ("supervised-paper", "simcrop-paper", HEAD),
        ("supervised-cnn-tiny", "simcrop-tiny", (*HEAD, "vision.", "optim.lr")),
        ("supervised-cnn-paper", "simcrop-paper", (*HEAD, "vision.")),
    ],
)
def test_recipe_differs_from_simcrops_in_nothing_but_the_objective_and_what_it_says(
    name: str, base: str, own: tuple[str, ...]
) -> None:
    ours, theirs = flat(load_recipe(name)), flat(load_recipe(base))
    shared = {setting for setting in ours if not setting.startswith(own)}
    assert {setting.split(".")[0] for setting in shared} >= {
        "input",
        "data",
        "aug",
        "optim",
        "engine",
        "seed",
    }
    for setting in shared:
        assert ours[setting] == theirs[setting], setting
    assert name != "supervised-cnn-tiny" or ours["optim.lr"] == 2 * theirs["optim.lr"]
