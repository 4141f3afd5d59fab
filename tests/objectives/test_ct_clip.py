"""CT-CLIP's contrast on a toy batch: the loss on paper, its projections, and learning one batch by heart."""

import math
from collections.abc import Callable
from dataclasses import replace
from math import e

import pytest
import torch

from simcrop.config import load_recipe
from simcrop.errors import SimcropError
from simcrop.objectives.ct_clip import CtClipSettings

HEAD = {"contrast": {"dim": 17}}


def test_its_one_term_is_the_mean_of_both_directions_over_studies_with_a_report(build: Callable) -> None:
    objective, batch = build("ct-clip", **HEAD)
    terms = objective.losses(batch)
    assert set(terms) == {"contrast"} == set(objective.terms)
    assert batch.sentences.image_index.tolist() == [0, 1, 3]  # the third study has no findings

    patches = objective.vision(batch.volume).patches
    images = patches.mean(1)[[0, 1, 3]] @ objective.projection.image.weight.T
    texts = batch.sentences.features @ objective.projection.words.weight.T
    cosine = torch.nn.functional.cosine_similarity(images[:, None], texts[None], dim=-1)
    odds = (cosine * e).exp()  # exp(t) with t = 1
    forth = -(odds.diag() / odds.sum(1)).log().mean()
    back = -(odds.diag() / odds.sum(0)).log().mean()
    torch.testing.assert_close(terms["contrast"], (forth + back) / 2)


def test_scale_is_free_as_ct_clips_or_bounded_when_asked(build: Callable) -> None:
    free, batch = build("ct-clip", contrast={"dim": 17, "log_scale": 5.0})
    bound, _ = build("ct-clip", contrast={"dim": 17, "log_scale": 5.0, "max_scale": 100})
    same, _ = build("ct-clip", contrast={"dim": 17, "log_scale": math.log(100)})
    assert free.projection.scale.item() == pytest.approx(math.exp(5))
    bound.load_state_dict(free.state_dict())
    same.load_state_dict({**free.state_dict(), "projection.log_scale": torch.tensor(100.0).log()})
    torch.testing.assert_close(bound.losses(batch), same.losses(batch))
    assert free.losses(batch)["contrast"] != bound.losses(batch)["contrast"]


def test_one_batch_is_learned_by_heart(build: Callable, learn_by_heart: Callable) -> None:
    first, last = learn_by_heart(*build("ct-clip", contrast={"dim": 17, "log_scale": 2.66}), steps=60)
    assert first["contrast"] > 0.9
    assert last["contrast"] < first["contrast"] / 10


@pytest.mark.parametrize("freeze", [True, False])
def test_every_trained_parameter_has_a_gradient(build: Callable, freeze: bool) -> None:
    objective, batch = build("ct-clip", **HEAD, text={"freeze": freeze})
    objective.losses(batch)["contrast"].backward()
    for name, parameter in objective.named_parameters():
        assert (parameter.grad is not None) is parameter.requires_grad, name
        assert parameter.requires_grad is not (freeze and name.startswith("text.")), name
    assert not objective.skips_parameters
    assert objective.projection.log_scale.grad.abs() > 0


def test_nothing_of_the_volume_is_masked(build: Callable) -> None:
    objective, batch = build("ct-clip", **HEAD)
    seen: list[int] = []
    objective.vision.register_forward_hook(lambda *args: seen.append(args[2].patches.shape[1]))
    objective.losses(batch)
    assert seen == [objective.grid.count]


def test_text_is_the_findings_or_the_whole_report(build: Callable) -> None:
    said = "a nodule.", "the lung is clear.", " ", "no nodule.", ""
    _, batch = build("ct-clip", said, **HEAD, text={"freeze": False})
    _, whole = build("ct-clip", said, contrast={"dim": 17, "text": "report"}, text={"freeze": False})
    assert batch.sentences.image_index.tolist() == [0, 1, 3]
    assert whole.sentences.image_index.tolist() == [0, 1, 2, 3]  # an impression is a report, too
    assert whole.sentences.tokens.mask.sum(1)[0] > batch.sentences.tokens.mask.sum(1)[0]
    assert batch.report.ids.shape[1] == 0


def test_a_batch_with_one_report_or_none_gives_0_that_can_be_back_propagated(build: Callable) -> None:
    for findings in (("", "", ""), ("", "no effusion.")):
        objective, batch = build("ct-clip", findings, **HEAD)
        term = objective.losses(batch)["contrast"]
        term.backward()
        assert term == 0


def test_mean_text_is_taken_away_when_asked(build: Callable) -> None:
    plain, batch = build("ct-clip", **HEAD)
    centred, _ = build("ct-clip", contrast={"dim": 17, "center_text": True})
    features = batch.sentences.features
    torch.testing.assert_close(centred.projection.center, features.mean(0))
    torch.testing.assert_close(
        centred.projection.sentences(features), plain.projection.sentences(features - features.mean(0))
    )


def test_texts_of_a_batch_that_carries_none_are_asked_for(build: Callable) -> None:
    objective, batch = build("ct-clip", **HEAD)
    with pytest.raises(SimcropError, match="neither features nor tokens"):
        objective.losses(replace(batch, sentences=replace(batch.sentences, features=None)))


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_recipe_differs_from_simcrops_in_nothing_but_the_objective_and_its_text(size: str) -> None:
    ours, simcrop = load_recipe(f"ct-clip-{size}"), load_recipe(f"simcrop-{size}")
    assert isinstance(ours, CtClipSettings)
    for group in set(type(ours).model_fields) - {"method", "claim", "contrast", "text"}:
        assert getattr(ours, group) == getattr(simcrop, group), group
    assert ours.text.freeze is (size == "tiny")
