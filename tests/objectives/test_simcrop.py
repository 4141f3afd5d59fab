"""SimCroP on a toy batch of four studies: every term, every switch, and learning one batch by heart."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from simcrop.config import build_recipe
from simcrop.data.report import Report
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.collate import Collate, Texts
from simcrop.data.samples.dataset import Sample
from simcrop.data.samples.text_features import build_bank
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.errors import SimcropError
from simcrop.nn.masking import random_mask
from simcrop.nn.text_encoder import read_text_encoder
from simcrop.objectives.simcrop import SimCroP, SimCroPSettings

FINDINGS = [
    "a nodule in the left upper lobe. no effusion. the lung is clear.",
    "no effusion. the right lobe is not in the left lung.",
    "",
    "the nodule is in the right lower lobe. no nodule in the left lung.",
]
Make = Callable[..., tuple[SimCroP, Batch]]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def make(toy_tree: dict[str, Any], tiny_bert: Path) -> Make:
    """An objective and a batch; keywords are recipe groups whose values change."""

    def build(findings: list[str] = FINDINGS, compact: bool = False, **groups: Any) -> tuple[SimCroP, Batch]:
        tree = {k: {**toy_tree.get(k, {}), **groups.get(k, {})} for k in {*toy_tree, *groups}}
        recipe = build_recipe(tree, "toy")
        assert isinstance(recipe, SimCroPSettings)
        tokenizer, text = Tokenizer.load(tiny_bert), read_text_encoder(tiny_bert, recipe.text.freeze)
        reports = [Report(f, "no effusion." if f else "") for f in findings]

        def encode(texts: list[str]) -> torch.Tensor:
            tokens = tokenizer.encode(texts, 40)
            return text.pool(text(tokens.ids, tokens.mask), tokens.mask, recipe.align.sent_pool)

        bank = build_bank([r.sentences for r in reports], encode if recipe.text.freeze else None)
        volumes = torch.rand(len(findings), 1, 24, 28, 15, generator=seeded()) * 2 - 1
        samples = [Sample(f"study-{i}", volumes[i], r) for i, r in enumerate(reports)]
        batch = Collate(Texts(tokenizer, bank, 64, 40))(samples)  # type: ignore[arg-type]
        assert isinstance(batch, Batch)
        vocabulary = batch.report.ids[batch.report.mask].unique() if compact else None
        center = bank.center() if recipe.align.center_text else None
        torch.manual_seed(1)
        return SimCroP(recipe, recipe.input.grid, text, tokenizer, vocabulary, center).train(), batch

    return build


def test_terms_are_those_of_the_equations_and_add_up_with_weight_one(make: Make) -> None:
    objective, batch = make()
    terms = objective.losses(batch)
    assert set(terms) == {"volume", "align", "report"} == set(objective.terms)
    assert {term.weight for term in objective.terms.values()} == {1.0}
    assert all(term.ndim == 0 and term.isfinite() and term > 0 for term in terms.values())


def test_one_batch_is_learned_by_heart(make: Make) -> None:
    objective, batch = make(FINDINGS, compact=True)
    optimizer = build_optimizer(objective, OptimSettings(lr=4e-3, weight_decay=0.0))
    journal: list[dict[str, float]] = []
    for _ in range(120):
        optimizer.zero_grad()
        terms = objective.losses(batch, 4)  # the same patches and words masked every time
        sum(terms.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        journal.append({name: term.item() for name, term in terms.items()})
    first, last = journal[0], journal[-1]
    for name, factor in {"volume": 2, "align": 10, "report": 10}.items():
        assert last[name] < first[name] / factor, (name, first[name], last[name])
    assert sum(last.values()) < sum(first.values()) / 4


def test_masked_voxels_matter_to_the_volume_term_alone(make: Make) -> None:
    objective, batch = make()
    mask = random_mask(objective.draw(batch, 7).drawn["patches"], 0.75)
    patches = objective.grid.split(batch.volume)
    changed = replace(
        batch, volume=objective.grid.join(torch.where(mask.masked[..., None], -patches, patches))
    )
    before, after = objective.losses(batch, 7), objective.losses(changed, 7)
    assert before["volume"] != after["volume"]
    assert before["align"] == after["align"]
    assert before["report"] == after["report"]


def test_switches_take_their_terms_away(make: Make) -> None:
    objective, batch = make(align={"use_sa": False})
    assert set(objective.losses(batch)) == {"volume", "report"} == set(objective.terms)
    objective, batch = make(
        align={"cross_image": {"enabled": True, "weight": 0.5, "max_document_frequency": 1.0}}
    )
    terms = objective.losses(batch)
    assert set(terms) == {"volume", "report", "align", "cross_image"}
    assert objective.terms["cross_image"].weight == 0.5
    assert terms["cross_image"] > 0
    objective, _ = make(align={"weight": 0.25}, mlm={"weight": 0.75}, mim={"weight": 0.5})
    assert {name: term.weight for name, term in objective.terms.items()} == {
        "volume": 0.5,
        "align": 0.25,
        "report": 0.75,
    }
    objective, batch = make(mlm={"weight": 0})
    objective.text.forward = None  # pyright: ignore[reportAttributeAccessIssue]
    assert set(objective.losses(batch)) == {"volume", "align"} == set(objective.terms)
    assert objective.settings.text_needs.predicted == "no"
    objective, batch = make(mim={"weight": 0})
    objective.vision_decoder.forward = None  # pyright: ignore[reportAttributeAccessIssue]
    assert set(objective.losses(batch)) == {"report", "align"} == set(objective.terms)
    with pytest.raises(SimcropError, match="nothing is left to learn"):
        make(mim={"weight": 0}, mlm={"weight": 0}, align={"use_sa": False})


def test_without_image_paths_the_report_term_is_blind(make: Make) -> None:
    for switches, blind in (
        ({"use_il": False, "use_wl": False}, True),
        ({"use_wl": False}, False),
        ({}, False),
    ):
        objective, batch = make(fusion=switches)
        other = replace(batch, volume=-batch.volume)
        same = objective.losses(batch)["report"] == objective.losses(other)["report"]
        assert bool(same) is blind, switches


def test_a_share_of_the_reports_is_read_and_the_others_change_nothing(make: Make) -> None:
    half, batch = make(mlm={"share": 0.5})
    whole, _ = make()
    assert half.draw(batch, 0).drawn["read"].tolist() == [0, 2]
    of_two, of_all = half.losses(batch)["report"], whole.losses(batch)["report"]
    assert of_two != of_all
    other = replace(batch, report=replace(batch.report.each(lambda tensor: tensor[[0, 0, 2, 2]]), lengths=()))
    assert of_two == half.losses(other)["report"]
    assert of_all != whole.losses(other)["report"]


def test_cross_image_pass_is_its_own_and_sees_the_share_it_is_told(make: Make) -> None:
    seen: list[int] = []
    objective, batch = make(
        align={"cross_image": {"enabled": True, "visible": 0.5, "max_document_frequency": 1.0}}
    )
    handle = objective.vision.register_forward_hook(lambda *args: seen.append(args[2].patches.shape[1]))
    objective.losses(batch)
    handle.remove()
    assert seen == [21, 42]


@pytest.mark.parametrize(("share", "learns"), [(1.0, False), (0.0, True)])
def test_steps_without_attention_teach_attention_nothing(make: Make, share: float, learns: bool) -> None:
    cross = {"enabled": True, "skip_attention": share, "max_document_frequency": 1.0}
    objective, batch = make(align={"cross_image": cross})
    objective.losses(batch)["cross_image"].backward()
    block = objective.vision.transformer.blocks[0]
    assert (block.attn.qkv.weight.grad is not None) == learns
    assert block.mlp.fc1.weight.grad is not None


def test_common_sentences_do_not_enter_the_cross_image_term(make: Make) -> None:
    objective, batch = make(align={"cross_image": {"enabled": True, "max_document_frequency": 0.3}})
    # Every sentence stands in a third of the reports that say something or more.
    assert objective.losses(batch)["cross_image"] == 0
    objective, batch = make(align={"cross_image": {"enabled": True, "max_document_frequency": 0.4}})
    assert objective.losses(batch)["cross_image"] > 0


def test_every_trained_parameter_has_a_gradient_and_the_frozen_text_has_none(make: Make) -> None:
    objective, batch = make()
    assert not objective.skips_parameters
    sum(objective.losses(batch).values()).backward()  # type: ignore[union-attr]
    for name, parameter in objective.named_parameters():
        assert (parameter.grad is not None) is parameter.requires_grad, name
        assert parameter.requires_grad is not name.startswith("text."), name


@pytest.mark.parametrize(
    "groups",
    [
        {"align": {"use_sa": False}},
        {"align": {"use_sa": False, "cross_image": True}},
        {"text": {"freeze": False}},
        {"mlm": {"weight": 0}},
        {"mim": {"weight": 0}},
        {"fusion": {"use_il": False, "use_wl": False}},
        {"vision": {"cls_token": False}},
    ],
)
def test_objective_says_whether_parameters_stay_without_a_gradient(make: Make, groups: dict) -> None:
    objective, batch = make(**groups)
    sum(objective.losses(batch).values()).backward()  # type: ignore[union-attr]
    skipped = any(p.requires_grad and p.grad is None for p in objective.parameters())
    assert objective.skips_parameters is skipped


def test_text_that_is_not_frozen_is_trained_by_sentences_and_words(make: Make) -> None:
    objective, batch = make(text={"freeze": False})
    assert batch.sentences.features is None
    for term in ("align", "report"):
        objective.zero_grad()
        objective.losses(batch)[term].backward()
        gradient = objective.text.bert.embeddings.word_embeddings.weight.grad
        assert gradient is not None
        assert gradient.any(), term


def test_sentences_encoded_on_the_way_equal_those_of_the_bank(make: Make) -> None:
    (cached, batch), (trained, fresh) = make(), make(text={"freeze": False})
    trained.eval()
    assert fresh.sentences.tokens is not None
    torch.testing.assert_close(
        trained.sentence_features(fresh.sentences), cached.sentence_features(batch.sentences), atol=1e-5, rtol=1e-4
    )  # fmt: skip


def test_a_batch_without_any_sentence_still_trains(make: Make) -> None:
    for freeze in (True, False):
        objective, batch = make(["", ""], text={"freeze": freeze}, align={"cross_image": {"enabled": True}})
        terms = objective.losses(batch)
        sum(terms.values()).backward()  # type: ignore[union-attr]
        assert terms["align"] == terms["cross_image"] == terms["report"] == 0
        assert all(term.isfinite() for term in terms.values())


def test_a_bank_without_a_sentence_has_a_center_of_zeros(make: Make) -> None:
    objective, _ = make(["", ""], align={"center_text": True})
    assert not objective.projection.center.any()


def test_centred_sentences_have_their_mean_taken_away(make: Make) -> None:
    plain, batch = make(align={"l2": False})
    centred, _ = make(align={"l2": False, "center_text": True})
    features = batch.sentences.features
    assert features is not None
    distinct = features[torch.tensor([batch.sentences.sentence_id.tolist().index(k) for k in range(6)])]
    torch.testing.assert_close(plain.sentence_features(batch.sentences), features)
    torch.testing.assert_close(centred.sentence_features(batch.sentences), features - distinct.mean(0))


def test_compact_vocabulary_predicts_only_words_of_the_cohort(make: Make) -> None:
    objective, batch = make(FINDINGS, compact=True)
    words = len(batch.report.ids[batch.report.mask].unique())
    assert objective.mlm_head.words.out_features == words < objective.tokenizer.size
    assert objective.losses(batch)["report"].isfinite()


def test_loss_on_all_patches_counts_visible_ones_too(make: Make) -> None:
    (masked, batch), (everything, _) = make(), make(mim={"loss_on": "all"})
    mask = random_mask(masked.draw(batch, 7).drawn["patches"], 0.75)
    painted = masked.vision_decoder(masked.vision(batch.volume, mask), mask)
    wrong = (painted - masked.grid.split(batch.volume)).square()
    hidden = [wrong[study, patch].mean() for study, patch in mask.masked.nonzero().tolist()]
    torch.testing.assert_close(masked.losses(batch, 7)["volume"], torch.stack(hidden).mean())
    torch.testing.assert_close(everything.losses(batch, 7)["volume"], wrong.mean())
    normal, _ = make(mim={"norm_pix": True})
    assert normal.losses(batch)["volume"] != masked.losses(batch)["volume"]


def test_visible_patches_are_those_of_the_body_when_asked(make: Make) -> None:
    objective, batch = make(mim={"visible": "body"})
    patches = objective.grid.split(batch.volume)
    patches[:, 21:] = -1.0  # 21 patches hold a body, as many as stay visible
    kept: list[torch.Tensor] = []
    handle = objective.vision.register_forward_pre_hook(lambda _, args: kept.append(args[1].keep))
    objective.losses(replace(batch, volume=objective.grid.join(patches)))
    handle.remove()
    assert kept[0].tolist() == [list(range(21))] * 4


def test_widths_that_differ_need_a_projection(make: Make) -> None:
    with pytest.raises(SimcropError, match=r"vision\.dim is 36 and the text's 24"):
        make(align={"vision_proj": "none"})
