"""How high a sentence is sought, where it names a lobe.

Axes: s sentence, n patch, x y z patches.
"""

import math
from collections.abc import Callable

import pytest
import torch

from simcrop.objectives.level import level_cross_entropy

CROSS = {"enabled": True, "visible": 0.5, "top_share": 0.1}
ALONE = {"mim": {"weight": 0}, "mlm": {"weight": 0}}
ALIGN = {"use_sa": False, "cross_image": CROSS, "level": {"enabled": True, "sigma_mm": 30}}


def test_cost_of_two_layers_by_hand() -> None:
    similarity = torch.tensor([[[[0.1, 0.4]], [[0.2, -math.inf]]], [[[9.0, 9.0]], [[9.0, 9.0]]]])
    target = torch.tensor([[0.3, 0.7], [0.5, 0.5]])
    low, high = math.exp(0.1 / 0.5) + math.exp(0.2 / 0.5), math.exp(0.4 / 0.5)
    by_hand = -0.3 * math.log(low / (low + high)) - 0.7 * math.log(high / (low + high))
    found = level_cross_entropy(similarity, target, torch.tensor([True, False]), 0.5)
    assert found.item() == pytest.approx(by_hand, rel=1e-5)


def test_targets_are_gaussians_around_the_levels(build: Callable) -> None:
    objective, _ = build("simcrop", align=ALIGN)
    middles, height = [60.0, 180.0, 300.0], 360.0  # three layers of 120 mm
    for share, found in zip(
        (0.35, 0.5, 0.65), objective.extension.own_image.by_name["level"].targets, strict=True
    ):
        shares = [math.exp(-((middle - share * height) ** 2) / (2 * 30**2)) for middle in middles]
        torch.testing.assert_close(found, torch.tensor(shares) / sum(shares))


def test_term_is_that_of_a_loop_over_seen_patches(build: Callable) -> None:
    objective, batch = build("simcrop", align=ALIGN, **ALONE)
    objective.eval()
    assert batch.sentences.level.tolist() == [2, -1, -1, -1, -1, 0, -1]
    assert objective.counts(batch)["level"] == 2
    drawn = objective.draw(batch, 0)
    look = objective.look(objective.extension, drawn, objective.grid.split(drawn.volume), None)
    costs = []
    for sentence, image, level in ((0, 0, 2), (5, 3, 0)):
        layers = [1e-12] * 3
        for place, patch in enumerate(look.mask.keep[image].tolist()):
            cosine = (look.patches[image, place] @ look.sentences[sentence]).item()
            layers[objective.grid.index(patch)[2]] += math.exp(cosine / 0.07)
        target = objective.extension.own_image.by_name["level"].targets[level].tolist()
        costs.append(-sum(t * math.log(n / sum(layers)) for t, n in zip(target, layers, strict=True)))
    assert objective.losses(batch, 0)["level"].item() == pytest.approx(sum(costs) / 2, rel=1e-4)
