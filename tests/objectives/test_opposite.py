"""A sentence against what contradicts it.

Axes: b study, s sentence, n patch.
"""

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from torch.nn.functional import normalize

from simcrop import losses
from simcrop.config import build_recipe
from simcrop.errors import SimcropError

CROSS = {"enabled": True, "max_document_frequency": 1.0, "top_share": 0.1}
ALIGN = {"use_sa": False, "cross_image": CROSS, "opposite": {"enabled": True, "weight": 3}}
ALONE = {"mim": {"weight": 0}, "mlm": {"weight": 0}}
FINDINGS = (
    "a nodule in the left upper lobe. no effusion. the lung is clear.",
    "no nodule in the left lung. effusion.",
    "",
)


def test_cost_is_that_of_two_choices_by_hand() -> None:
    said, turned = torch.tensor([0.3, 0.1, 0.9]), torch.tensor([0.1, 0.2, 0.9])
    known = torch.tensor([True, True, False])
    right = [exp(a / 0.5) / (exp(a / 0.5) + exp(b / 0.5)) for a, b in ((0.3, 0.1), (0.1, 0.2))]
    found = losses.opposite_nce(said, turned, known, 0.5).item()
    assert found == pytest.approx(-sum(map(log, right)) / 2, rel=1e-6)
    assert losses.opposite_nce(said, turned, torch.zeros(3).bool()).item() == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_term_is_that_of_a_loop_over_sentences(build: Callable, frozen: bool) -> None:
    objective, batch = build("simcrop", FINDINGS, align=ALIGN, text={"freeze": frozen}, **ALONE)
    assert objective.terms["opposite"].weight == 3
    objective.eval()
    patches = objective.projection.patches(objective.vision(batch.volume).patches)
    read = {
        text: normalize(objective.encode(objective.tokenizer.encode([text], 40))[0], dim=0)
        for text in (
            "a nodule in the left upper lobe.",
            "No nodule in the left upper lobe.",
            "no effusion.",
            "Effusion.",
            "no nodule in the left lung.",
            "Nodule in the left lung.",
            "effusion.",
        )
    }
    pairs = [(0, *list(read)[0:2]), (0, *list(read)[2:4]), (1, *list(read)[4:6])]

    def score(image: int, text: str) -> torch.Tensor:
        return (patches[image] @ read[text]).topk(8).values.mean()

    costs = [-((score(i, a) - score(i, b)) / 0.07).sigmoid().log() for i, a, b in pairs]
    assert objective.counts(batch)["opposite"] == 3, "nothing turns round that the lung is clear"
    found = objective.losses(batch)["opposite"]
    torch.testing.assert_close(found, torch.stack(costs).mean(), rtol=1e-4, atol=1e-5)


def test_what_the_report_says_as_well_is_no_contradiction(build: Callable) -> None:
    both = ("No effusion. Effusion. a nodule.", "Effusion.")
    objective, batch = build("simcrop", both, align=ALIGN, **ALONE)
    opposite = batch.sentences.opposite
    assert (opposite.sentence_id == batch.sentences.sentence_id).tolist() == [True, True, False, False]
    assert objective.counts(batch)["opposite"] == 2


def test_learned_by_heart_an_assertion_stands_above_its_denial(
    build: Callable, learn_by_heart: Callable
) -> None:
    objective, batch = build("simcrop", FINDINGS, align=ALIGN, **ALONE)
    before, after = learn_by_heart(objective, batch, 40)
    assert before["opposite"] > 0.6
    assert after["opposite"] < 0.3


def test_options_need_the_pass_of_the_cross_image_term(toy_tree: dict) -> None:
    for name in ("opposite", "prompts", "level"):
        with pytest.raises(SimcropError, match=rf"align\.{name} is asked on the pass of align\.cross_image"):
            build_recipe(toy_tree | {"align": {name: True}}, "toy")
