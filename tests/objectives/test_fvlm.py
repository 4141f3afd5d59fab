"""fVLM: organs pooled from their patches, compared with their texts by soft targets.

Axes: b study, o organ, n patch, d features, s text.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn import MultiheadAttention
from torch.nn.functional import max_pool3d

from simcrop.losses import organ_nce
from simcrop.nn.organ_pool import OrganPool, intact_organs, organ_patches
from simcrop.nn.patch import PatchGrid

GRID = PatchGrid((12, 8, 10), (4, 2, 5))
TWO = {"names": ["lung", "heart"], "dim": 17}
STUDIES = (
    "a nodule in the lung. no effusion.",
    "the lung is clear. the left lobe is not clear.",
    "",
    "no nodule. the right lobe is clear.",
)


def test_pooling_is_multi_head_attention_over_the_organs_own_patches_one_by_one() -> None:
    torch.manual_seed(0)
    pool, slow = OrganPool(12, 3, 4), MultiheadAttention(12, 4, batch_first=True)
    torch.nn.init.normal_(pool.organ_token)
    torch.nn.init.normal_(pool.value.bias)
    with torch.no_grad():
        slow.in_proj_weight.copy_(torch.cat([pool.query.weight, pool.key.weight, pool.value.weight]))
        slow.in_proj_bias.copy_(torch.cat([pool.query.bias, torch.randn(12), pool.value.bias]))
        slow.out_proj.load_state_dict(pool.out.state_dict())
    layers, inside = [torch.randn(2, 7, 12) for _ in range(2)], torch.rand(2, 3, 7) < 0.5
    inside[0, 0], inside[..., 3] = False, True
    found = pool(layers, inside)
    for b in range(2):
        for o in range(3):
            own = torch.cat([layer[b, inside[b, o]] for layer in layers])[None]
            expected, _ = slow(pool.organ_token[o][None, None], own, own)
            torch.testing.assert_close(found[b, o], expected[0, 0])


def test_an_organ_that_is_nowhere_gives_numbers_and_no_nan() -> None:
    pool = OrganPool(12, 2, 4)
    assert pool([torch.randn(1, 5, 12)], torch.zeros(1, 2, 5, dtype=torch.bool)).isfinite().all()


def test_a_patch_belongs_to_every_organ_that_has_a_voxel_in_it() -> None:
    organs = torch.randint(0, 4, (2, 1, 12, 8, 10), generator=torch.Generator().manual_seed(1))
    organs[torch.rand(organs.shape, generator=torch.Generator().manual_seed(2)) < 0.97] = 0
    found = organ_patches(organs, GRID, 3)
    for organ in range(3):
        slow = max_pool3d((organs == organ + 1).float(), GRID.patch, GRID.patch)
        assert torch.equal(found[:, organ], slow.flatten(1) > 0)
    assert 0 < found.float().mean() < 1


def test_an_organ_is_intact_where_it_touches_no_side() -> None:
    organs = torch.zeros(8, 1, 12, 8, 10, dtype=torch.long)
    organs[:7, :, 3:6, 3:6, 3:6] = 2
    for study, place in enumerate(((0, 4, 4), (-1, 4, 4), (4, 0, 4), (4, -1, 4), (4, 4, 0), (4, 4, -1))):
        organs[(study, 0, *place)] = 2
    assert intact_organs(organs, 3)[:, 1].tolist() == [False] * 6 + [True, False]
    assert not intact_organs(organs, 3)[:, [0, 2]].any()


def slow_loss(logits, organ, text, normal, intact, organs):
    """fVLM's sum as a loop over organs and studies."""
    total = logits.sum() * 0
    for o in range(organs):
        rows = [i for i in range(len(organ)) if organ[i] == o and intact[i]]
        target = [
            [float(i == j or (normal[i] and normal[j]) or text[i] == text[j]) for j in rows] for i in rows
        ]
        if all(normal[i] for i in rows) or all(all(row) for row in target):
            continue
        of_both = []
        for side in (logits, logits.T):
            of_rows = [
                -sum(t / sum(row) * side[i, rows].log_softmax(0)[k] for k, t in enumerate(row))
                for i, row in zip(rows, target, strict=True)
            ]
            of_both.append(sum(of_rows) / len(of_rows))
        total = total + (of_both[0] + of_both[1]) / 2
    return total


def test_the_loss_is_that_of_a_loop_over_organs() -> None:
    random = torch.Generator().manual_seed(3)
    for _ in range(4):
        logits = torch.randn(12, 12, generator=random, requires_grad=True)
        organ, text = torch.arange(12) % 3, torch.randint(0, 6, (12,), generator=random)
        normal, intact = torch.rand(12, generator=random) < 0.6, torch.rand(12, generator=random) < 0.7
        loss = organ_nce(logits, organ, text, normal, intact, 3)
        torch.testing.assert_close(loss, slow_loss(logits, organ, text, normal, intact, 3))
        loss.backward()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()


def asked(normal: list[bool], text: list[int], intact: list[bool] | None = None) -> float:
    """The loss of one organ whose similarities are all the same: only the targets speak."""
    count = len(normal)
    logits = torch.zeros(count, count)
    logits[0, 1] = logits[1, 0] = 2.0
    told = torch.tensor(intact or [True] * count)
    return organ_nce(
        logits, torch.zeros(count, dtype=torch.long), torch.tensor(text), torch.tensor(normal), told, 1
    ).item()


def test_two_normal_organs_and_two_equal_texts_are_as_right_for_one_another_as_their_own() -> None:
    e2 = torch.e**2
    pair = torch.log(torch.tensor(e2 + 2)).item()  # of a row (0, 2, 0) or (2, 0, 0)
    alone = torch.log(torch.tensor(3.0)).item()
    soft = (2 * (pair - 1) + alone) / 3  # each of the two shares its target between 0 and 2
    hard = (2 * pair + alone) / 3
    assert asked([True, True, False], [0, 1, 2]) == pytest.approx(soft, rel=1e-5)
    assert asked([False, False, False], [0, 0, 2]) == pytest.approx(soft, rel=1e-5)
    assert asked([False, False, False], [0, 1, 2]) == pytest.approx(hard, rel=1e-5)


def test_an_organ_counts_only_where_it_is_abnormal_and_intact_in_some_study() -> None:
    assert asked([True, True, True], [0, 1, 2]) == 0
    assert asked([True, True, False], [0, 1, 2], [True, True, False]) == 0
    assert asked([False, False], [4, 4]) == 0  # nothing to tell apart
    assert asked([True, True, False], [0, 1, 2], [True, False, True]) > 0


def test_the_crop_takes_an_organ_out_of_the_comparison(build: Callable) -> None:
    objective, batch = build("fvlm", STUDIES, organs=TWO)
    facts = objective(batch.to(objective.vision.device))["organs"].facts
    assert facts["organ"].tolist() == [0, 1, 0, 1, 0, 1]  # the study without a report has no text
    assert facts["intact"].tolist() == [1, 1, 0, 1, 1, 1]
    assert facts["normal"].tolist() == [0, 1, 0, 1, 0, 1]


def test_a_mask_that_is_shifted_changes_what_an_organ_is(build: Callable) -> None:
    objective, batch = build("fvlm", STUDIES, organs=TWO)
    batch = batch.to(objective.vision.device)
    right = objective(batch)["organs"].images
    shifted = objective(replace(batch, mask=batch.mask.roll(6, 2)))["organs"].images
    assert (right - shifted).abs().amax() > 1e-4
    assert torch.equal(right, objective(batch)["organs"].images)


def test_the_temperature_is_kept_within_its_bounds(build: Callable) -> None:
    objective, batch = build("fvlm", STUDIES, organs=TWO)
    for wanted, kept in ((0.9, 0.5), (-1.0, 0.001), (0.2, 0.2)):
        objective.temperature.data.fill_(wanted)
        objective.losses(batch)
        assert objective.temperature.item() == pytest.approx(kept)


def test_it_learns_a_batch_by_heart_and_every_parameter_has_a_gradient(
    build: Callable, learn_by_heart: Callable
) -> None:
    objective, batch = build("fvlm", STUDIES, organs=TWO)
    before, after = learn_by_heart(objective, batch, 60)
    assert after["organs"] < 0.3 * before["organs"]
    without = [n for n, p in objective.named_parameters() if p.requires_grad and p.grad is None]
    assert not without
