"""The learning rate at points that can be worked out by hand, and what decays."""

from math import ceil

import pytest
import torch
from torch import nn

from simcrop.engine.optim import OptimSettings, build_optimizer, head_only, learning_rate

SETTINGS = OptimSettings(lr=2.0, epochs=11, warmup_epochs=2, batch=5)
PER_EPOCH = 10.0


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 2 * 1 / 20),  # first of 20 steps of warm-up
        (9, 1.0),  # half way up
        (19, 2.0),  # top of the warm-up
        (20, 2.0),  # top of the cosine
        (65, 1.0),  # its middle
        (50, 1.5),  # a third of it: (1 + cos 60 degrees) / 2
        (110, 0.0),  # its end
    ],
)
def test_rate_by_hand(step: int, rate: float) -> None:
    assert learning_rate(SETTINGS, step, 110, PER_EPOCH) == pytest.approx(rate)


def test_run_cut_short_warms_up_over_the_same_share_of_itself() -> None:
    short = [learning_rate(SETTINGS, step, 55, PER_EPOCH) for step in range(55)]
    whole = [learning_rate(SETTINGS, step, 110, PER_EPOCH) for step in range(110)]
    assert short[9] == pytest.approx(whole[19])  # the top, after 10 steps instead of 20
    assert short[10:] == pytest.approx(whole[20::2])


def test_schedule_longer_than_the_run_leaves_a_rate_at_the_end() -> None:
    # One public recipe trains 120 epochs of a cosine that spans 200 (warm-up 40).
    longer = OptimSettings(lr=2.0, epochs=120, warmup_epochs=40, schedule_epochs=200, batch=1)
    assert learning_rate(longer, 120, 120, 1.0) == pytest.approx(1.0)


def test_no_warm_up_starts_at_the_top() -> None:
    assert learning_rate(OptimSettings(lr=3.0, epochs=4, warmup_epochs=0), 0, 40, 10.0) == 3.0


@pytest.mark.parametrize("per_epoch", [0.3, 49 / 48, 1.5, 2.7, 100 / 48])
@pytest.mark.parametrize("head", [0, 1, 3])
def test_rate_never_lies_above_its_top_where_an_epoch_is_no_whole_number_of_steps(
    per_epoch: float, head: float
) -> None:
    settings = OptimSettings(lr=2.0, epochs=11, warmup_epochs=1, head_first_epochs=head, batch=5)
    steps = ceil(settings.epochs * per_epoch)
    rates = [learning_rate(settings, step, steps, per_epoch) for step in range(steps)]
    assert max(rates) == 2.0
    assert min(rates) >= 0


def test_rate_never_rises_again_after_the_end() -> None:
    assert learning_rate(SETTINGS, 150, 110, PER_EPOCH) == 0.0


def test_only_matrices_decay_and_frozen_parameters_are_left_out() -> None:
    module = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 2, bias=False))
    module[2].requires_grad_(False)
    module.register_parameter("token", nn.Parameter(torch.zeros(4)))
    decay, plain = build_optimizer(module, OptimSettings(weight_decay=0.05)).param_groups
    assert decay["weight_decay"] == 0.05
    assert [p.shape for p in decay["params"]] == [(5, 3)]
    assert plain["weight_decay"] == 0.0
    assert sorted(tuple(p.shape) for p in plain["params"]) == [(4,), (5,), (5,), (5,)]


def test_paper_optimiser_is_the_default() -> None:
    settings = OptimSettings()
    optimizer = build_optimizer(nn.Linear(2, 2), settings)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (settings.lr, settings.weight_decay, settings.batch, settings.epochs) == (1.5e-4, 0.05, 48, 140)
    assert optimizer.defaults["betas"] == (0.9, 0.95)


class Stack(nn.Module):
    """Two layers and a head, which tell their depth."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = (nn.Linear(3, 3) for _ in range(3))

    def depth_of(self, name: str) -> int | None:
        return {"first": 0, "second": 1}.get(name.split(".")[0])


def test_layer_decay_slows_lower_layers_more() -> None:
    stack = Stack()
    optimizer = build_optimizer(stack, OptimSettings(layer_decay=0.5))
    scale = {id(p): group["scale"] for group in optimizer.param_groups for p in group["params"]}
    assert [scale[id(layer.weight)] for layer in (stack.first, stack.second, stack.head)] == [0.25, 0.5, 1]
    assert {group["scale"] for group in build_optimizer(stack, OptimSettings()).param_groups} == {1.0}


@pytest.mark.parametrize(("step", "rate"), [(0, 0.1), (19, 2.0), (20, 2.0), (65, 2 * 0.5**0.9), (110, 0.0)])
def test_poly_by_hand(step: int, rate: float) -> None:
    poly = SETTINGS.model_copy(update={"schedule": "poly"})
    assert learning_rate(poly, step, 110, PER_EPOCH) == pytest.approx(rate)


SAWTOOTH = OptimSettings(lr=2.0, epochs=11, head_first_epochs=4, warmup_epochs=2, batch=5)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.1),  # 20 steps up
        (19, 2.0),
        (20, 2.0),  # and 20 down
        (39, 0.1),
        (40, 0.1),  # 20 steps of warm-up for all
        (59, 2.0),
        (60, 2.0),
        (85, 1.0),  # the middle of what is left
        (110, 0.0),
    ],
)
def test_the_head_has_a_tooth_of_its_own_first(step: int, rate: float) -> None:
    assert learning_rate(SAWTOOTH, step, 110, PER_EPOCH) == pytest.approx(rate)
    assert head_only(SAWTOOTH, step, 110, PER_EPOCH) == (step < 40)
    assert not head_only(SETTINGS, step, 110, PER_EPOCH)


def test_what_starts_late_has_groups_of_its_own() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(3, 2), nn.Linear(2, 1)

        def starts_late(self, name: str) -> bool:
            return name.startswith("body.")

    groups = build_optimizer(Two(), OptimSettings()).param_groups
    assert (
        sorted((group["late"], len(group["params"])) for group in groups)
        == [(False, 1)] * 2 + [(True, 1)] * 2
    )


@pytest.mark.parametrize(("warm", "head", "epochs"), [(50, 0, 50), (60, 0, 50), (20, 30, 50)])
def test_a_warm_up_that_leaves_nothing_of_the_run_is_refused(warm: float, head: float, epochs: int) -> None:
    """The public recipe of LUNA16 warms up for 50 of 50 epochs (flaw 15)."""
    with pytest.raises(ValueError, match=rf"warmup_epochs = {warm} leave nothing of epochs = {epochs}"):
        OptimSettings(warmup_epochs=warm, head_first_epochs=head, epochs=epochs)
    OptimSettings(warmup_epochs=warm - 1 - max(0, warm - epochs), head_first_epochs=head, epochs=epochs)


@pytest.mark.parametrize(("warm", "head", "schedule"), [(40, 0, 30), (40, 0, 40), (10, 30, 40), (0, 40, 40)])
def test_a_schedule_that_ends_before_its_way_down_begins_is_refused(
    warm: float, head: float, schedule: float
) -> None:
    """The rate would be nothing from there to the end of the run."""
    with pytest.raises(ValueError, match=rf"{warm} leave nothing of schedule_epochs = {schedule}: set them"):
        OptimSettings(warmup_epochs=warm, head_first_epochs=head, schedule_epochs=schedule, epochs=140)
    with pytest.raises(
        ValueError, match=r"schedule_epochs = 60 end before epochs = 140: the rate would be nothing"
    ):
        OptimSettings(warmup_epochs=warm, head_first_epochs=head, schedule_epochs=60, epochs=140)
    OptimSettings(warmup_epochs=warm, head_first_epochs=head, schedule_epochs=140, epochs=140)
