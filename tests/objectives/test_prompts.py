"""Labels in words: what says yes against what says no.

Axes: b study, l label.
"""

import math
from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from simcrop.objectives.needs import Prompts
from simcrop.objectives.prompts import PromptTerm
from simcrop.objectives.supervised import known_label_loss

ALONE = {"mim": {"weight": 0}, "mlm": {"weight": 0}}
LABELS = ("nodule", "effusion", "lung")
CROSS = {"enabled": True, "top_share": 0.1}
ALIGN = {"use_sa": False, "cross_image": CROSS, "prompts": {"enabled": True, "labels": LABELS}}


def test_cost_of_known_labels_by_hand() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    labels = torch.tensor([[1.0, 0.0], [float("nan"), 1.0]])
    weight = torch.tensor([4.0, 1.0])
    by_hand = [4 * math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), math.log(1 + math.exp(-3))]
    assert math.isclose(known_label_loss(logits, labels, weight).item(), sum(by_hand) / 3, rel_tol=1e-6)


def test_term_is_that_of_a_loop_over_labels(build: Callable) -> None:
    objective, batch = build("simcrop", align=ALIGN, **ALONE)
    objective.eval()
    patches = objective.projection.patches(objective.vision(batch.volume).patches)

    def mean(*texts: str) -> torch.Tensor:
        read = [normalize(objective.encode(objective.tokenizer.encode([t], 40))[0], dim=0) for t in texts]
        return normalize(torch.stack(read).mean(0), dim=0)

    costs = []
    for column, (label, weight) in enumerate(zip(LABELS, (1.0, 3.0, 20.0), strict=True)):
        yes = mean(f"a {label}.", f"the {label} is in the lung.")
        no = mean(f"no {label}.", f"the {label} is not in the lung.")
        for image, known in enumerate(batch.labels[:, column].tolist()):
            logit = (patches[image] @ yes).topk(8).values.mean() - (patches[image] @ no).topk(8).values.mean()
            if known == 1:
                costs.append(-weight * (logit / 0.07).sigmoid().log())
            elif known == 0:
                costs.append(-(-logit / 0.07).sigmoid().log())
    assert len(costs) == 9 == objective.counts(batch)["prompts"]
    found = objective.losses(batch)["prompts"]
    torch.testing.assert_close(found, torch.stack(costs).mean(), rtol=1e-4, atol=1e-5)


def test_sentences_that_ask_are_not_part_of_the_model(build: Callable) -> None:
    asking, _ = build("simcrop", align=ALIGN)
    silent, batch = build("simcrop", align={"use_sa": False, "cross_image": CROSS})
    assert asking.state_dict().keys() == silent.state_dict().keys()
    assert batch.labels is None


def test_a_label_that_all_studies_share_is_not_asked_for(build: Callable) -> None:
    objective, batch = build("simcrop", align=ALIGN, **ALONE)
    look = objective.look(
        objective.extension, objective.draw(batch, 0), objective.grid.split(batch.volume), None
    )
    features = objective.extension.own_image.by_name["prompts"].features
    term = PromptTerm(objective.settings.align.prompts, Prompts(features, torch.tensor([0.0, 3.0, 40.0])))
    assert term.count(batch) == 6
    cost = term(look)
    batch.labels[:, 0] = float("nan")
    assert torch.equal(term(look), cost)
