"""Eq. 2-4, sentence by sentence: the patches nearest to each, and who is told from whom.

Axes: s sentence, v visible patch, e features that both share.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from simcrop.data.samples.batch import Batch
from simcrop.nn.masking import random_mask
from simcrop.objectives.method import Objective

SEED, TOP_K, TEMPERATURE = 7, 5, 0.07


def similarities(objective: Objective, batch: Batch, l2: bool) -> Tensor:
    """`(s, s)`: what each sentence sees, row by row, beside every sentence."""
    mask = random_mask(objective.draw(batch, SEED).drawn["patches"], 0.75)
    seen = objective.projection.patches(objective.vision(batch.volume, mask).patches)
    assert seen.shape[1] == 21
    sentences = objective.projection.sentences(batch.sentences.features)
    regions = []
    for sentence, image in zip(sentences, batch.sentences.image_index.tolist(), strict=True):
        nearest = (seen[image] @ sentence).argsort(descending=True)[:TOP_K]
        regions.append(seen[image][nearest].mean(0))
    region = torch.stack(regions)
    return normalize(region, dim=-1) @ normalize(sentences, dim=-1).T if l2 else region @ sentences.T


def both_ways(similarity: Tensor) -> Tensor:
    """Each region finds its own sentence, and each sentence its region."""
    logits, own = similarity / TEMPERATURE, torch.arange(len(similarity))
    return cross_entropy(logits, own) + cross_entropy(logits.T, own)


@pytest.mark.parametrize("l2", [True, False])
@pytest.mark.parametrize("scope", ["report", "batch"])
def test_the_term_is_equations_2_to_4_within_a_report_or_among_all_of_a_batch(
    build: Callable, scope: str, l2: bool
) -> None:
    objective, batch = build("simcrop", align={"scope": scope, "l2": l2})
    similarity, image_index = similarities(objective, batch, l2), batch.sentences.image_index
    expected = both_ways(similarity)
    if scope == "report":
        reports = [(image_index == image).nonzero()[:, 0] for image in range(4)]
        assert [len(report) for report in reports] == [3, 2, 0, 2]
        expected = torch.stack([both_ways(similarity[r][:, r]) for r in reports if len(r) >= 2]).mean()
    torch.testing.assert_close(objective.losses(batch, SEED)["align"], expected)
    assert (
        objective.terms["align"].each_once is objective.terms["align"].compares_samples is (scope == "batch")
    )
