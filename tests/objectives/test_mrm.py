"""MRM on a toy batch: its two terms by hand, from the parts and one study after the other.

Axes: b 4 studies, n 84 patches, t word piece, d features.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from simcrop.config import load_recipe
from simcrop.errors import SimcropError
from simcrop.nn.masking import random_mask
from simcrop.nn.own_words import OwnWords
from simcrop.objectives.m3ae import EMPTY
from simcrop.objectives.mrm import Mrm, MrmSettings

SEED = 7


def visible_features(objective: Mrm, batch: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of visible patches, and whether each patch is hidden."""
    mask = random_mask(batch.drawn["patches"], 0.75)  # type: ignore[attr-defined]
    return objective.vision(batch.volume, mask).patches, mask.masked  # type: ignore[attr-defined]


def by_hand(objective: Mrm, pooled: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probability `(t, w)` of every word at every place of one report, without padding."""
    table = objective.words.embeddings
    seen = objective.image.weight @ pooled + objective.image.bias
    pieces = []
    for place, piece in enumerate(ids):
        vector = table.word_embeddings.weight[piece] + table.position_embeddings.weight[place]
        vector = vector + table.token_type_embeddings.weight[0]
        norm = table.LayerNorm
        pieces.append(layer_norm(vector, vector.shape, norm.weight, norm.bias, 1e-12) + seen)
    everywhere = torch.ones(1, len(ids), dtype=torch.bool)
    decoded = objective.report_decoder(torch.stack(pieces)[None], everywhere)[0]
    dense = gelu(decoded @ objective.words.dense.weight.T + objective.words.dense.bias)
    norm = objective.words.norm
    said = layer_norm(dense, dense.shape[-1:], norm.weight, norm.bias, 1e-12)
    return (said @ table.word_embeddings.weight.T + objective.words.bias).log_softmax(-1)


@pytest.mark.parametrize("loss_on", ["all", "masked"])
def test_words_are_predicted_with_the_pooled_volume_added_to_each(build: Callable, loss_on: str) -> None:
    objective, batch = build("mrm", mlm={"loss_on": loss_on})
    with torch.no_grad():
        for parameter in objective.parameters():  # no bias is zero, no norm is one
            parameter += 0.05 * torch.randn_like(parameter)
    drawn = objective.draw(batch, SEED)
    features, _ = visible_features(objective, drawn)
    costs = []
    for study, features_of_one in enumerate(features):
        length = int(batch.report.mask[study].sum())
        if length == EMPTY:
            continue
        truth, shown = batch.report.ids[study, :length], drawn.report.ids[study, :length]
        chance = by_hand(objective, features_of_one.mean(0), shown)
        costs += [
            -chance[place, truth[place]]
            for place in range(length)
            if loss_on == "all" or shown[place] != truth[place]
        ]
    terms = objective.losses(batch, SEED)
    assert set(terms) == {"volume", "report"} == set(objective.terms)
    torch.testing.assert_close(terms["report"], torch.stack(costs).mean(), rtol=1e-5, atol=1e-5)
    assert batch.report.lengths[2] == EMPTY
    assert objective.counts(drawn) == {"volume": 4, "report": len(costs)}


def test_a_micro_batch_without_a_word_has_nothing_to_predict(build: Callable) -> None:
    objective, batch = build("mrm", ("", ""))
    assert objective.counts(objective.draw(batch, SEED)) == {"volume": 2, "report": 0}
    loss = objective.losses(batch, SEED)["report"]
    loss.backward()
    assert loss == 0
    assert not any(p.grad.any() for p in objective.parameters() if p.grad is not None)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("norm_pix", [False, True])
def test_hidden_patches_are_reconstructed_at_the_resolution_of_the_target(
    build: Callable, scale: int, norm_pix: bool
) -> None:
    objective, batch = build("mrm", mrm={"sr_scale": scale}, mim={"norm_pix": norm_pix})
    drawn = objective.draw(batch, SEED)
    mask = random_mask(drawn.drawn["patches"], 0.75)
    painted = objective.vision_decoder(objective.vision(batch.volume, mask), mask)
    px, py, pz = (edge * scale for edge in objective.grid.patch)
    assert painted.shape == (4, 84, px * py * pz)
    costs = []
    for study in range(4):
        target = (batch.volume if scale == 1 else batch.fine)[study, 0]
        for number in mask.masked[study].nonzero()[:, 0].tolist():
            x, y, z = objective.grid.index(number)
            piece = target[x * px : (x + 1) * px, y * py : (y + 1) * py, z * pz : (z + 1) * pz].flatten()
            if norm_pix:
                piece = (piece - piece.mean()) / (piece.var() + 1e-6).sqrt()
            costs.append((painted[study, number] - piece).square().mean())
    assert len(costs) == 4 * 63
    torch.testing.assert_close(objective.losses(batch, SEED)["volume"], torch.stack(costs).mean())


def test_a_target_at_another_place_or_none_is_noticed(build: Callable) -> None:
    objective, batch = build("mrm", mrm={"sr_scale": 2})
    moved = replace(batch, fine=batch.fine.roll(1, -1))
    assert objective.losses(batch, SEED)["volume"] != objective.losses(moved, SEED)["volume"]
    with pytest.raises(SimcropError, match="no crops finer than the input"):
        objective.losses(replace(batch, fine=None), SEED)


def test_half_of_the_words_are_masked_whole(build: Callable) -> None:
    objective, batch = build("mrm")
    masked = total = 0
    for seed in range(60):
        shown = objective.draw(batch, seed).report.ids
        hidden = (shown != batch.report.ids)[batch.report.word >= 0]
        masked, total = masked + int(hidden.sum()), total + len(hidden)
        assert (shown[shown != batch.report.ids] == objective.tokenizer.mask_id).all()
        assert (shown == batch.report.ids)[batch.report.word < 0].all()
    assert masked / total == pytest.approx(0.5, abs=0.03)


def test_the_words_depend_on_the_image(build: Callable) -> None:
    objective, batch = build("mrm")
    other = replace(batch, volume=-batch.volume)
    assert objective.losses(batch, SEED)["report"] != objective.losses(other, SEED)["report"]


def test_one_batch_is_learned_by_heart(build: Callable, learn_by_heart: Callable) -> None:
    first, last = learn_by_heart(*build("mrm"), steps=120)
    assert last["volume"] < first["volume"] / 2
    assert last["report"] < first["report"] / 20


@pytest.mark.parametrize("scale", [1, 2])
def test_every_parameter_has_a_gradient_and_no_text_encoder_is_among_them(
    build: Callable, scale: int
) -> None:
    objective, batch = build("mrm", mrm={"sr_scale": scale})
    sum(objective.losses(batch).values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())
    parts = {name.split(".")[0] for name, _ in objective.named_parameters()}
    assert parts == {"vision", "vision_decoder", "image", "words", "report_decoder"}
    assert not objective.skips_parameters


def test_share_of_the_reports_is_read_with_their_own_images(build: Callable) -> None:
    objective, batch = build("mrm", mlm={"share": 0.5})
    drawn = objective.draw(batch, SEED)
    features, _ = visible_features(objective, drawn)
    read = drawn.drawn["read"].tolist()
    assert len(read) == 2
    costs = []
    for row, study in enumerate(read):
        length = int(batch.report.mask[study].sum())
        if length == EMPTY:
            continue
        chance = by_hand(objective, features[study].mean(0), drawn.report.ids[row, :length])
        costs += [-chance[place, batch.report.ids[study, place]] for place in range(length)]
    torch.testing.assert_close(objective.losses(batch, SEED)["report"], torch.stack(costs).mean())
    assert objective.skips_parameters


def test_a_table_of_the_words_that_reports_use_reads_all_others_as_unknown() -> None:
    words = OwnWords(6, 9, 12, unknown=1, further=(0, 4), vocabulary=torch.tensor([2, 3, 7, 10]))
    assert words.embeddings.word_embeddings.weight.shape == (7, 6)  # 0 1 2 3 4 7 10
    assert words.vocabulary_index(torch.tensor([0, 1, 2, 3, 4, 7, 10])).tolist() == list(range(7))
    assert words.vocabulary_index(torch.tensor([5, 11])).tolist() == [1, 1]
    read = words(torch.tensor([[2, 5, 10]]))
    assert torch.equal(read, words(torch.tensor([[2, 1, 10]])))
    assert words.predict(read[0]).shape == (3, 7)


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_recipe_shares_with_simcrops_what_both_have_but_words(size: str) -> None:
    ours, simcrop = load_recipe(f"mrm-{size}"), load_recipe(f"simcrop-{size}")
    assert isinstance(ours, MrmSettings)
    for group in set(type(ours).model_fields) & set(type(simcrop).model_fields) - {"method", "claim", "mlm"}:
        assert getattr(ours, group) == getattr(simcrop, group), group
    changed = ours.mlm.model_dump().items() - simcrop.mlm.model_dump().items()  # type: ignore[attr-defined]
    assert dict(changed) == {"ratio": 0.5, "loss_on": "all"}


@pytest.mark.parametrize("name", ["mim.weight=0", "mlm.weight=0"])
def test_one_term_alone_is_another_method(name: str) -> None:
    with pytest.raises(SimcropError, match="MRM learns from both"):
        load_recipe("mrm-tiny", [name])


def test_a_report_may_be_as_long_as_a_bert_reads(build: Callable) -> None:
    objective, _ = build("mrm")
    assert objective.words(torch.arange(512)[None] % 7).shape == (1, 512, 20)
