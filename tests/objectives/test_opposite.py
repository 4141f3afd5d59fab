"""A sentence against what contradicts it, in its own scan and in those that it is false of.

Axes: b study, s sentence, k kind of finding, n patch.
"""

from collections.abc import Callable
from itertools import product
from math import exp, log

import pytest
import torch
from torch.nn.functional import normalize

from simcrop.config import build_recipe
from simcrop.errors import SimcropError
from simcrop.objectives.opposite import contradicted, opposite_bce

CROSS = {"enabled": True, "max_document_frequency": 1.0, "top_share": 0.1}
ALIGN = {"use_sa": False, "cross_image": CROSS, "opposite": {"enabled": True, "weight": 3}}
ALONE = {"mim": {"weight": 0}, "mlm": {"weight": 0}}
FINDINGS = (
    "a lung nodule in the left upper lobe. no pleural effusion. the lung is clear.",
    "no lung nodule. Pleural effusion.",
    "",
    "no lung nodule in the left lung.",
)
OPPOSITE = {  # of every sentence that counts, and the studies that contradict it
    (0, "a lung nodule in the left upper lobe."): ("No lung nodule in the left upper lobe.", [1]),
    (0, "no pleural effusion."): ("Pleural effusion.", [1]),
    (1, "no lung nodule."): ("Lung nodule.", [0]),
    (1, "Pleural effusion."): ("No pleural effusion.", [0]),
}


def test_a_report_contradicts_what_it_denies_and_nowhere_asserts() -> None:
    of = torch.tensor([0, 0, 1, 1, 2, 2, 3])
    claims = torch.tensor([[1, 0, 0], [0, -1, -1], [-1, 0, 0], [1, 1, 0], [-1, 0, 0], [0, 0, 0], [-1, -1, 0]])
    expected = {(0, 2), (0, 3), (1, 1), (2, 0), (3, 3), (4, 0), (4, 1), (6, 0), (6, 1)}
    found = contradicted(of, claims, 4)
    assert {(s, b) for s, b in product(range(7), range(4)) if found[s, b]} == expected


def test_cost_is_half_the_own_image_and_half_those_that_contradict() -> None:
    above = torch.tensor([[0.3, -0.1, 0.2], [0.5, 0.4, 0.1], [9.0, 9.0, 9.0]])
    claims, known = torch.tensor([[1], [-1], [-1]]), torch.tensor([True, True, False])
    right = [1 / (1 + exp(-0.3 / 0.5)), 1 / (1 + exp(-0.4 / 0.5))]
    wrong = [
        log(1 / (1 + exp(-0.1 / 0.5))) + log(1 / (1 + exp(0.2 / 0.5))),
        2 * log(1 / (1 + exp(0.5 / 0.5))),
    ]
    by_hand = -sum(log(a) + b / 2 for a, b in zip(right, wrong, strict=True)) / 2 / 2
    found = opposite_bce(above, torch.arange(3), claims, known, 0.5)
    assert found.item() == pytest.approx(by_hand, rel=1e-5)
    assert opposite_bce(above, torch.arange(3), claims, torch.zeros(3).bool()).item() == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_term_is_that_of_a_loop_over_sentences(build: Callable, frozen: bool) -> None:
    objective, batch = build("simcrop", FINDINGS, align=ALIGN, text={"freeze": frozen}, **ALONE)
    assert objective.terms["opposite"].weight == 3
    objective.eval()
    patches = objective.projection.patches(objective.vision(batch.volume).patches)

    def score(image: int, text: str) -> torch.Tensor:
        read = normalize(objective.encode(objective.tokenizer.encode([text], 40))[0], dim=0)
        return (patches[image] @ read).topk(8).values.mean()

    costs = []
    for (own, text), (turned, others) in OPPOSITE.items():
        for image in (own, *others):
            above = (score(image, text) - score(image, turned)) / 0.07
            costs.append(-(above if image == own else -above).sigmoid().log())
    found = objective.losses(batch)["opposite"]
    torch.testing.assert_close(found, torch.stack(costs).mean(), rtol=1e-4, atol=1e-5)


def test_where_scans_do_not_differ_words_alone_gain_nothing(build: Callable) -> None:
    objective, batch = build("simcrop", FINDINGS, align=ALIGN, **ALONE)
    batch.volume[:] = batch.volume[:1].clone()
    assert objective.losses(batch)["opposite"].item() >= log(2)


def test_what_the_report_says_as_well_is_no_opposite(build: Callable) -> None:
    both = ("No effusion. Effusion. a nodule.", "Effusion.")
    _, batch = build("simcrop", both, align=ALIGN, **ALONE)
    opposite = batch.sentences.opposite
    assert (opposite.sentence_id == batch.sentences.sentence_id).tolist() == [True, True, False, False]


def test_learned_by_heart_a_sentence_stands_above_its_opposite_where_it_is_true(
    build: Callable, learn_by_heart: Callable
) -> None:
    objective, batch = build("simcrop", FINDINGS, align=ALIGN, **ALONE)
    before, after = learn_by_heart(objective, batch, 60)
    assert before["opposite"] > 0.6
    assert after["opposite"] < 0.3


def test_options_need_the_pass_of_the_cross_image_term(toy_tree: dict) -> None:
    for name in ("opposite", "prompts", "level"):
        with pytest.raises(SimcropError, match=rf"align\.{name} is asked on the pass of align\.cross_image"):
            build_recipe(toy_tree | {"align": {name: True}}, "toy")
