"""DINO on a toy batch: its loss, its teacher and its centre by hand, and that no answer is given to all.

Axes: b study, v view, k answer; scans of 4 x 7 x 3 patches, large views of 3 x 6 x 2 and small ones of 2 x 3 x 1.
"""

from collections.abc import Callable
from dataclasses import replace
from math import log
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from simcrop.config import build_recipe, load_recipe
from simcrop.data.samples.batch import Batch
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.errors import SimcropError
from simcrop.nn.masking import box_mask
from simcrop.objectives.dino import Dino, TeacherSettings, ViewSettings

HEAD = {"hidden": 19, "bottleneck": 7, "outputs": 11, "frozen_epochs": 0}
TINY: dict[str, Any] = {"head": HEAD, "views": {"small": 3}}
SIZES = [(3, 6, 2), (3, 6, 2), (2, 3, 1), (2, 3, 1), (2, 3, 1)]


@pytest.fixture
def dino(build: Callable) -> tuple[Dino, Batch]:
    objective, batch = build("dino", **TINY)
    with torch.no_grad():
        for (
            name,
            buffer,
        ) in objective.teacher.named_buffers():  # a teacher that is not the student, as after a step
            if not name.endswith("position"):
                buffer += 0.1 * torch.randn(buffer.shape, generator=torch.Generator().manual_seed(1))
        objective.center.copy_(torch.linspace(-0.1, 0.2, 11))
    return objective, batch


@torch.no_grad()
def answers(vision: Any, head: Any, batch: Batch, view: int, study: int) -> Tensor:
    """`(k,)`: one view of one study, its patches picked one by one."""
    grid, corner = vision.grid, batch.drawn["corner"][study, view].tolist()
    contrast, brightness = batch.drawn["light"][study, view]
    box = [
        n
        for n in range(grid.count)
        if all(c <= at < c + s for c, at, s in zip(corner, grid.index(n), SIZES[view], strict=True))
    ]
    patches = grid.split((batch.volume[study : study + 1] * (1 + contrast) + brightness).clip(-1, 1))
    tokens = vision.patch_embed(patches[:, box]) + vision.position[box]
    tokens = torch.cat([vision.cls_token.expand(1, 1, -1), tokens], 1)
    hidden = head.mlp(vision.transformer(tokens)[:, 1:].mean(1))[0]
    directions = head.prototypes.weight
    return directions @ hidden / (directions.norm(dim=1) * hidden.norm())


def test_loss_and_entropy_are_those_of_pairs_of_views_taken_one_by_one(dino: tuple[Dino, Batch]) -> None:
    objective, batch = dino
    terms, batch = objective.losses(batch, 7), objective.draw(batch, 7)
    costs, entropies = [], []
    for study in range(4):
        for g in range(2):
            taught = answers(objective.teacher["vision"], objective.teacher["head"], batch, g, study)
            chance = ((taught - objective.center) / 0.04).softmax(0)
            entropies.append(-sum(p * log(p) for p in chance.tolist() if p))
            for v in range(5):
                guessed = (answers(objective.vision, objective.head, batch, v, study) / 0.1).softmax(0)
                if v != g:
                    costs.append(-(chance * guessed.log()).sum().item())
    assert len(costs) == 4 * 2 * 4
    assert terms["views"].item() == pytest.approx(sum(costs) / len(costs), rel=1e-4)
    assert terms["entropy"].item() == pytest.approx(sum(entropies) / len(entropies), rel=1e-4)
    assert {name: term.weight for name, term in objective.terms.items()} == {"views": 1, "entropy": 0}


def test_views_are_boxes_of_whole_patches_anywhere_in_the_scan_and_nothing_is_mirrored(
    dino: tuple[Dino, Batch],
) -> None:
    objective, batch = dino
    seen: list[tuple[Tensor, Any]] = []
    handle = objective.vision.register_forward_pre_hook(lambda _, args: seen.append(args))
    objective.losses(batch, 7)
    handle.remove()
    light = objective.draw(batch, 7).drawn["light"]
    assert [mask.keep.shape[1] for _, mask in seen] == [36, 36, 6, 6, 6]
    for number, (volume, _) in enumerate(seen):
        for study in range(4):
            contrast, brightness = light[study, number]
            expected = (batch.volume[study] * (1 + contrast) + brightness).clamp(-1, 1)
            torch.testing.assert_close(volume[study], expected)
    assert light.abs().max() < 0.1
    assert len(light.unique()) == light.numel()
    corners = torch.cat([objective.draw(batch, seed).drawn["corner"] for seed in range(40)])
    for number, size in enumerate(SIZES):
        reached = torch.tensor([4, 7, 3]) - torch.tensor(size)
        assert torch.equal(corners[:, number].amax(0), reached)
        assert torch.equal(corners[:, number].amin(0), torch.zeros(3, dtype=torch.long))


def test_box_of_patches_is_what_its_corner_says() -> None:
    mask = box_mask((4, 7, 3), (2, 3, 1), torch.tensor([[0, 0, 0], [2, 4, 2]]))
    assert mask.keep.tolist() == [[0, 3, 6, 21, 24, 27], [56, 59, 62, 77, 80, 83]]
    assert torch.equal(mask.masked.logical_not().nonzero()[:, 1].view(2, 6), mask.keep)
    assert ViewSettings(small=3).sizes((4, 7, 3)) == SIZES
    assert ViewSettings().sizes((14, 14, 14)) == [(11, 11, 11)] * 2 + [(6, 6, 6)] * 8


def test_teacher_follows_and_the_centre_is_the_mean_answer_of_the_whole_batch(
    dino: tuple[Dino, Batch],
) -> None:
    objective, batch = dino
    old = {name: buffer.clone() for name, buffer in objective.teacher.named_buffers()}
    center = objective.center.clone()
    objective.begins(40.0, 100)
    objective.losses(batch, 7)
    batch = objective.draw(batch, 7)
    teacher = objective.teacher["vision"], objective.teacher["head"]
    mean = torch.stack([answers(*teacher, batch, g, b) for b in range(4) for g in range(2)]).mean(0)
    objective.ends(40.0, 100, lambda values: 3 * values)  # of three processes that have seen the same
    torch.testing.assert_close(objective.center, 0.9 * center + 0.1 * mean)
    kept = 1 - 0.004 * 0.6545085  # (1 + cos 0.4 pi) / 2
    student = {
        **dict(objective.vision.named_parameters("vision")),
        **dict(objective.head.named_parameters("head")),
    }
    for name, parameter in student.items():
        now = dict(objective.teacher.named_buffers())[name]
        torch.testing.assert_close(now, kept * old[name] + (1 - kept) * parameter)
    assert len(student) == len(objective.teacher.state_dict())


def test_what_an_abandoned_step_has_seen_is_forgotten(dino: tuple[Dino, Batch]) -> None:
    objective, batch = dino
    objective.losses(replace(batch, volume=batch.volume * float("nan")))
    objective.begins(0.0, 100)
    objective.losses(batch)
    objective.ends(0.0, 100, lambda values: values)
    assert objective.center.isfinite().all()


def test_teacher_is_no_parameter_and_begins_as_the_student(build: Callable) -> None:
    objective, batch = build("dino", **TINY)
    sum(objective.losses(batch).values()).backward()
    assert not [name for name, _ in objective.named_parameters() if name.startswith("teacher.")]
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())
    with torch.no_grad():
        objective.vision.patch_embed.weight += 1
    objective.started()
    for name, tensor in objective.teacher["vision"].state_dict().items():
        assert torch.equal(tensor, objective.vision.state_dict()[name])
    assert all("teacher" not in n and "center" not in n for n, _ in objective.named_parameters())


def test_schedules_are_those_of_the_paper(build: Callable) -> None:
    teacher = TeacherSettings()
    assert [teacher.momentum_at(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([0.996, 0.998, 1.0])
    assert [teacher.temperature_at(e) for e in (0.0, 15.0, 30.0, 90.0)] == pytest.approx(
        [0.04, 0.055, 0.07, 0.07]
    )
    assert TeacherSettings(warmup_epochs=0).temperature_at(0.0) == 0.07
    objective, batch = build("dino", **TINY | {"head": HEAD | {"frozen_epochs": 1}})
    assert objective.skips_parameters
    for epoch, learns in ((0.0, False), (0.99, False), (1.0, True)):
        objective.zero_grad(set_to_none=True)
        objective.begins(epoch, 100)
        objective.losses(batch)["views"].backward()
        assert (objective.head.prototypes.weight.grad is not None) is learns
        assert objective.head.mlp[0].weight.grad.any()


def test_one_batch_is_learned_by_heart(build: Callable, learn_by_heart: Callable) -> None:
    """A teacher that stands still can be guessed: no more is left than its own entropy."""
    first, last = learn_by_heart(*build("dino", **TINY), steps=60, lr=1e-3)
    assert first["entropy"] == last["entropy"]
    assert last["views"] - last["entropy"] < 0.5 * (first["views"] - first["entropy"])


@pytest.mark.parametrize("without", ["", "centre", "sharpening"])
def test_scans_are_told_apart_and_centre_and_sharpening_keep_each_other_from_collapse(
    build: Callable, without: str
) -> None:
    """Eight scans, each a little brighter than the one before. Without a centre few answers are left, given
    without a doubt; without sharpening all answers are given alike.
    """
    head = HEAD | {"bottleneck": 16, "outputs": 32}
    temperature = (1.0, 1.0) if without == "sharpening" else (0.04, 0.04)
    settings = {"momentum": 0.96, "warmup_epochs": 0, "temperature": temperature}
    objective, batch = build("dino", ("",) * 8, head=head, views={"small": 3}, teacher=settings)
    level = torch.linspace(-0.7, 0.7, 8).view(8, 1, 1, 1, 1)
    batch = replace(batch, volume=(batch.volume * 0.2 + level).clamp(-1, 1))
    optimizer, terms = build_optimizer(objective, OptimSettings(lr=1e-3, weight_decay=0.0)), {}
    for step in range(40):
        optimizer.zero_grad()
        objective.begins(step / 40, 1)
        terms = objective.losses(batch, step)
        terms["views"].backward()
        optimizer.step()
        objective.ends(step / 40, 1, lambda values: values)
        if without == "centre":
            objective.center.zero_()

    entropy = terms["entropy"].item() / log(32)
    assert (entropy < 0.1, entropy > 0.99) == (without == "centre", without == "sharpening")
    if not without:
        found = told_apart(objective, objective.draw(batch, 1000))
        assert found >= 0.75  # of boxes that no step has seen; by chance an eighth


def told_apart(objective: Dino, batch: Batch) -> float:
    """How often the answer to one large view of a scan is nearest to that to the other one of the same scan."""
    answered = []
    for view in range(2):
        mask = box_mask((4, 7, 3), SIZES[view], batch.drawn["corner"][:, view])
        answered.append(normalize(objective.taught(batch.volume, mask) - objective.center, dim=1))
    return float(((answered[0] @ answered[1].T).argmax(1) == torch.arange(len(batch))).float().mean())


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_recipe_shares_with_simcrops_all_but_the_objective(size: str) -> None:
    ours, simcrop = load_recipe(f"dino-{size}"), load_recipe(f"simcrop-{size}")
    for group in ("input", "vision", "optim", "aug", "init", "engine", "data", "checkpoint"):
        assert getattr(ours, group) == getattr(simcrop, group), group
    assert ours.text_needs is None
    if size == "paper":
        bare = build_recipe({"method": "dino"}, "toy")
        assert all(getattr(ours, group) == getattr(bare, group) for group in ("views", "head", "teacher"))


def test_the_class_token_answers_where_it_is_asked_and_there(build: Callable) -> None:
    objective, batch = build("dino", head=HEAD, views={"small": 1, "pool": "cls"})
    objective.losses(batch)["views"].backward()
    assert objective.vision.cls_token.grad.any()
    with pytest.raises(SimcropError, match=r"views\.pool = cls needs vision\.cls_token = true"):
        load_recipe("dino-tiny", ["views.pool=cls", "vision.cls_token=false"])
    with pytest.raises(SimcropError, match="temperature must be above 0"):
        load_recipe("dino-tiny", ["teacher.temperature=[0,0.07]"])
