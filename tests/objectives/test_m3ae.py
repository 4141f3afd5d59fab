"""M3AE on a toy batch: its three passes one by one, slowly; what they share; who is told from whom.

Axes: b study, n patch, t word piece.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, logsigmoid

from simcrop.config import load_recipe
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.errors import SimcropError
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.masking import random_mask
from simcrop.objectives.m3ae import EMPTY, M3ae, M3aeSettings, exchanged
from simcrop.objectives.method import Objective

STEP = 7


def enter(objective: Objective, ids: torch.Tensor, batch: object) -> torch.Tensor:
    """Reports on their way into co-attention."""
    mask = batch.report.mask  # type: ignore[attr-defined]
    return objective.co_attention.from_text(objective.text.bert(ids, mask))  # type: ignore[operator, union-attr]


def test_masked_words_are_spelled_with_the_whole_scan(build: Callable) -> None:
    objective, batch = build("m3ae")
    assert isinstance(objective, M3ae)
    drawn = objective.draw(batch, STEP)
    shown, truth, real = drawn.drawn["shown"], batch.report.ids, batch.report.mask
    assert torch.equal(drawn.report.ids, truth)  # the other two passes read it whole
    assert shown[0, 0] == objective.tokenizer.cls_id
    seen = objective.co_attention.enter_image(objective.vision(batch.volume))
    words = objective.co_attention.text_after(enter(objective, shown, batch), real, seen)
    logits = objective.mlm_head(words.flatten(0, 1))
    at = drawn.drawn["masked_at"]
    assert 0 < len(at) < real.sum() / 2
    assert set(at.tolist()) >= set((shown != truth).flatten().nonzero()[:, 0].tolist())
    expected = cross_entropy(logits[at], truth.flatten()[at])
    torch.testing.assert_close(objective.losses(batch, STEP)["report"], expected)


@pytest.mark.parametrize(("layer", "norm_pix"), [(1, True), (2, False)])
def test_masked_patches_are_painted_with_the_whole_report(
    build: Callable, layer: int, norm_pix: bool
) -> None:
    objective, batch = build("m3ae", m3ae={"mim_layer": layer}, mim={"norm_pix": norm_pix})
    mask = random_mask(objective.draw(batch, STEP).drawn["patches"], 0.75)
    seen = objective.co_attention.enter_image(objective.vision(batch.volume, mask))
    said = enter(objective, batch.report.ids, batch)
    tokens = objective.co_attention.image_after(said, batch.report.mask, seen, layer)
    painted = objective.vision_decoder(VisionFeatures(tokens[:, 0], tokens[:, 1:]), mask)

    patches, errors = objective.grid.split(batch.volume), []
    for study, patch in mask.masked.nonzero().tolist():
        truth = patches[study, patch]
        if norm_pix:
            truth = (truth - truth.mean()) / (truth.var() + 1e-6).sqrt()
        errors.append((painted[study, patch] - truth).square().mean())
    assert len(errors) == 4 * 63
    torch.testing.assert_close(objective.losses(batch, STEP)["volume"], torch.stack(errors).mean())


def test_reports_are_told_from_those_beside_anothers_scan(build: Callable) -> None:
    objective, batch = build("m3ae")
    scans = exchanged(objective.draw(batch, STEP).drawn["lot"]).tolist()
    assert sum(scan == place for place, scan in enumerate(scans)) == 2
    seen = objective.co_attention.enter_image(objective.vision(batch.volume))
    said, costs = enter(objective, batch.report.ids, batch), []
    for place, scan in enumerate(scans):
        length = batch.report.lengths[place]
        if length == EMPTY:
            continue
        whole = torch.ones(1, length, dtype=torch.bool)
        pair = objective.co_attention(said[[place], :length], whole, seen[[scan]])
        costs.append(cross_entropy(objective.match(pair), torch.tensor([int(scan == place)])))
    assert len(costs) == 3
    torch.testing.assert_close(objective.losses(batch, STEP)["match"], torch.stack(costs).mean())


@pytest.mark.parametrize("loss_on", ["masked", "all"])
def test_of_a_study_without_a_word_none_is_spelled(build: Callable, loss_on: str) -> None:
    objective, batch = build("m3ae", mlm={"loss_on": loss_on})
    studies = objective.draw(batch, STEP).drawn["masked_at"] // batch.report.ids.shape[1]
    asked = studies.bincount(minlength=4).tolist()
    assert [count > 0 for count in asked] == [True, True, False, True]
    if loss_on == "all":
        assert asked == [length if length > EMPTY else 0 for length in batch.report.lengths]


def test_a_study_without_a_word_is_not_asked(build: Callable) -> None:
    objective, batch = build("m3ae")
    part = objective(objective.draw(batch, STEP))["match"]
    scores = objective.scores("match", part)
    without = objective.contrast("match", scores, part)
    scans = exchanged(part.facts["lot"])
    margin = scores[torch.arange(4), scans]
    sign = torch.where(scans == torch.arange(4), 1.0, -1.0)
    torch.testing.assert_close(without, -logsigmoid(sign * margin)[[0, 1, 3]].mean())


@pytest.mark.parametrize("count", [1, 3, 4, 7, 48])
def test_half_of_the_scans_are_replaced_and_each_stands_somewhere(count: int) -> None:
    for seed in range(20):
        lots = torch.rand(count, generator=torch.Generator().manual_seed(seed))
        scans = exchanged(lots)
        assert scans.sort().values.tolist() == list(range(count))
        moved = scans != torch.arange(count)
        assert moved.sum() == (0 if count == 1 else count - count // 2)
        assert not count // 2 or lots[moved].max() < lots[~moved].min()


def test_of_two_both_are_exchanged_or_none() -> None:
    lots = torch.rand(400, 2, generator=torch.Generator().manual_seed(0))
    found = [exchanged(pair).tolist() for pair in lots]
    assert {tuple(scans) for scans in found} == {(0, 1), (1, 0)}
    assert 150 < found.count([1, 0]) < 250


def test_the_three_passes_share_what_they_read(build: Callable) -> None:
    objective, batch = build("m3ae")
    drawn, seen, read = objective.draw(batch, STEP), [], []
    objective.vision.register_forward_hook(lambda *args: seen.append(args[2].patches.shape[1]))
    objective.text.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    objective.settled(objective(drawn))
    assert sorted(seen) == [21, 84]  # the whole scan for words and match, a quarter of it for patches
    assert len(read) == 2
    assert torch.equal(read[0], batch.report.ids)  # whole for patches and match
    assert torch.equal(read[1], drawn.drawn["shown"])


def test_the_look_at_all_micro_batches_masks_nothing(build: Callable) -> None:
    objective, batch = build("m3ae")
    seen, read = [], []
    objective.vision.register_forward_hook(lambda *args: seen.append(args[2].patches.shape[1]))
    objective.text.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    found = objective.compared(objective.draw(batch, STEP))
    assert set(found) == {"match"}
    assert (seen, len(read)) == ([84], 1)


def test_part_of_the_scan_is_hidden_from_words_when_asked(build: Callable) -> None:
    objective, batch = build("m3ae", m3ae={"mim_layer": 1, "mlm_image_mask_ratio": 0.5})
    seen: list[int] = []
    objective.vision.register_forward_hook(lambda *args: seen.append(args[2].patches.shape[1]))
    objective.losses(batch, STEP)
    assert sorted(seen) == [21, 42, 84]


def test_terms_weigh_one_each_and_one_of_none_is_gone(build: Callable) -> None:
    assert {n: t.weight for n, t in build("m3ae")[0].terms.items()} == {"report": 1, "volume": 1, "match": 1}
    objective, batch = build("m3ae", mim={"weight": 0}, m3ae={"mim_layer": 1, "match_weight": 0.5})
    assert {n: t.weight for n, t in objective.terms.items()} == {"report": 1, "match": 0.5}
    assert (
        set(objective.losses(batch)) == set(objective.counts(objective.draw(batch, 0))) == {"report", "match"}
    )
    assert objective.skips_parameters


@pytest.mark.parametrize("freeze", [True, False])
def test_every_trained_parameter_has_a_gradient(build: Callable, freeze: bool) -> None:
    objective, batch = build("m3ae", text={"freeze": freeze})
    sum(objective.losses(batch).values()).backward()
    for name, parameter in objective.named_parameters():
        assert (parameter.grad is not None) is parameter.requires_grad, name
        assert parameter.requires_grad is not (freeze and name.startswith("text.")), name
    assert not objective.skips_parameters


def test_all_but_the_encoders_learn_five_times_as_fast(build: Callable) -> None:
    objective, _ = build("m3ae", text={"freeze": False})
    names = {parameter: name for name, parameter in objective.named_parameters()}
    for group in build_optimizer(objective, OptimSettings()).param_groups:
        encoders = {names[p].startswith(("vision.", "text.")) for p in group["params"]}
        assert encoders == {group["scale"] == 1.0}
        assert group["scale"] in {1.0, 5.0}
    plain, _ = build("m3ae", m3ae={"mim_layer": 1, "head_rate": 1})
    assert {plain.rate_of(name) for name, _ in plain.named_parameters()} == {1.0}


def test_one_batch_is_learned_by_heart(build: Callable, learn_by_heart: Callable) -> None:
    objective, batch = build("m3ae", m3ae={"mim_layer": 1, "head_rate": 1})
    first, last = learn_by_heart(objective, replace(batch, volume=batch.volume.round()), steps=40)
    assert last["report"] < first["report"] / 4
    assert last["match"] < first["match"] / 4
    assert last["volume"] < 0.95 * first["volume"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("m3ae.mim_layer=3", r"m3ae\.mim_layer = 3 is beyond co_attention\.depth = 2"),
        ("mlm.share=0.5", r"mlm\.share = 0\.5: m3ae reads every report"),
        ("m3ae.match=0", r"unknown setting m3ae\.match, did you mean m3ae\.match_weight"),
    ],
)
def test_what_does_not_fit_is_refused(change: str, message: str) -> None:
    with pytest.raises(SimcropError, match=message):
        load_recipe("m3ae-tiny", [change])


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(SimcropError, match="nothing is left to learn"):
        load_recipe("m3ae-tiny", ["mim.weight=0", "mlm.weight=0", "m3ae.match_weight=0"])


@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_recipe_shares_input_encoder_and_optimiser_with_simcrops(size: str) -> None:
    ours, simcrop = load_recipe(f"m3ae-{size}"), load_recipe(f"simcrop-{size}")
    assert isinstance(ours, M3aeSettings)
    own = {"method", "claim", "co_attention", "m3ae", "mim", "mlm", "vision_decoder", "text"}
    for group in set(type(ours).model_fields) - own:
        assert getattr(ours, group) == getattr(simcrop, group), group
    assert (ours.mlm.ratio, ours.mlm.unit, ours.mim.mask_ratio, ours.mim.norm_pix) == (
        0.15,
        "word",
        0.75,
        True,
    )
    assert ours.m3ae.mlm_image_mask_ratio == 0
    if size == "paper":
        decoder = ours.vision_decoder
        assert (decoder.dim, decoder.depth, decoder.heads) == (384, 4, 6)
        assert (ours.co_attention.depth, ours.m3ae.mim_layer, ours.m3ae.head_rate) == (6, 3, 5)
        assert not ours.text.freeze
