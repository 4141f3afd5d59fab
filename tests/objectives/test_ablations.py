"""Table 3 and Fig. 3 as switches: what each row leaves out, beside the obvious composition of what is left.

Axes: b report, t word piece, v visible patch, d features.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from simcrop import losses
from simcrop.config import load_recipe
from simcrop.data.samples.batch import Batch
from simcrop.errors import SimcropError
from simcrop.objectives.simcrop import SimCroP

ROWS = {  # SA, IL, WL
    "il": (False, True, False),
    "wl": (False, False, True),
    "il-wl": (False, True, True),
    "sa-il": (True, True, False),
    "sa-wl": (True, False, True),
    "simcrop": (True, True, True),
    "sa": (True, False, False),  # not in the paper: words are decoded without the scan
}
FULL = ROWS["simcrop"]
Build = Callable[..., tuple[SimCroP, Batch]]


def built(build: Build, row: tuple[bool, bool, bool], **groups: Any) -> tuple[SimCroP, Batch]:
    """With the weights of the whole method where both have them, and everything random drawn."""
    sa, il, wl = row
    whole, _ = build("simcrop")
    objective, batch = build(
        "simcrop", align={"use_sa": sa, **groups}, fusion={"use_il": il, "use_wl": wl, "heads": 4}
    )
    weights = whole.state_dict()
    objective.load_state_dict({name: weights[name] for name in objective.state_dict()})
    return objective, objective.draw(batch, 3)


@torch.no_grad()
def terms_by_hand(objective: SimCroP, batch: Batch, row: tuple[bool, bool, bool]) -> dict[str, Tensor]:
    """Eq. 1-7 of the parts that a row has, from the parts' own weights."""
    sa, il, wl = row
    features, mask = objective.masked_features(batch, objective.grid.split(batch.volume), None)
    patches = objective.grid.split(batch.volume)
    painted = objective.vision_decoder(features, mask)
    found = {"volume": ((painted - patches)[mask.masked] ** 2).mean()}
    states = objective.text(batch.report.ids, batch.report.mask)
    given = objective.fusion.residual(states)  # type: ignore[misc]
    if il:
        given = given + objective.fusion.instance(features.patches.mean(1))[:, None]  # type: ignore[misc]
    if wl:
        given = given + attended(objective, states, features.patches)
    decoded = objective.report_decoder(given, batch.report.mask).flatten(0, 1)
    logits = objective.mlm_head(decoded[batch.drawn["masked_at"]])
    found["report"] = cross_entropy(logits, batch.drawn["masked_ids"])
    if sa:
        sentences = objective.sentence_features(batch.sentences)
        of_image = batch.sentences.image_index
        seen = objective.projection.patches(features.patches)[of_image]
        regions = losses.nearest_patches(sentences, seen, objective.settings.align.top_k)
        found["align"] = losses.info_nce(regions, sentences, of_image, 0.07, True)
    return found


def attended(objective: SimCroP, states: Tensor, patches: Tensor) -> Tensor:
    """f^W head by head, with its softmax written out."""
    words = objective.fusion.words
    assert words is not None
    query, (key, value) = words.query(states), words.key_value(patches).chunk(2, dim=-1)
    heads = [part.chunk(words.heads, dim=-1) for part in (query, key, value)]
    return torch.cat(
        [
            (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
            for q, k, v in zip(*heads, strict=True)
        ],
        dim=-1,
    )


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_table_3_is_the_sum_of_the_parts_that_it_has(build: Build, row: str) -> None:
    objective, batch = built(build, ROWS[row])
    terms = objective.settled(objective(batch))
    expected = terms_by_hand(objective, batch, ROWS[row])
    assert terms.keys() == objective.terms.keys() == expected.keys()
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name], rtol=1e-4, atol=1e-5, msg=name)
    assert all(term.weight == 1 for term in objective.terms.values())


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_lacks_is_not_built_or_not_trained(build: Build, row: str) -> None:
    sa, il, wl = ROWS[row]
    objective, batch = built(build, ROWS[row])
    assert (objective.fusion.instance is not None, objective.fusion.words is not None) == (il, wl)
    sum(objective.settled(objective(batch)).values()).backward()  # type: ignore[union-attr]
    still = {
        name.split(".")[0] for name, p in objective.named_parameters() if p.requires_grad and p.grad is None
    }
    assert still == (set() if sa else {"projection"})
    assert objective.skips_parameters is not sa


def test_switches_change_no_other_term(build: Build) -> None:
    found = {}
    for name, row in ROWS.items():
        objective, batch = built(build, row)
        found[name] = objective.settled(objective(batch))
    assert len({round(terms["volume"].item(), 5) for terms in found.values()}) == 1
    assert len({round(terms["align"].item(), 5) for terms in found.values() if "align" in terms}) == 1
    # With and without SA the decoder reads the same; each of its four inputs gives another loss.
    reports = {name: round(terms["report"].item(), 4) for name, terms in found.items()}
    assert reports["il"] == reports["sa-il"]
    assert reports["wl"] == reports["sa-wl"]
    assert len(set(reports.values())) == 4


def test_a_decoder_without_any_input_is_refused() -> None:
    off = ["fusion.use_il=false", "fusion.use_wl=false"]
    assert load_recipe("simcrop-tiny", off).fusion.text_residual
    with pytest.raises(SimcropError, match="nothing is left to decode"):
        load_recipe("simcrop-tiny", [*off, "fusion.text_residual=false"])


def test_k_beyond_the_visible_patches_is_all_of_them(build: Build) -> None:
    losses_at = {}
    for k in (5, 20, 21, 1000):
        objective, batch = built(build, FULL, top_k=k)
        assert (
            objective.masked_features(batch, objective.grid.split(batch.volume), None)[0].patches.shape[1]
            == 21
        )
        losses_at[k] = objective.settled(objective(batch))["align"].item()
    assert losses_at[21] == losses_at[1000]
    assert len({losses_at[5], losses_at[20], losses_at[21]}) == 3


@pytest.mark.parametrize(
    "change", ["align.top_k=0", "align.top_k=-3", "align.top_k=2.5", "mlm.ratio=0", "mlm.ratio=1"]
)
def test_a_sweep_beyond_its_bounds_is_refused_in_one_line(change: str) -> None:
    with pytest.raises(SimcropError, match=change.split("=")[0]) as refused:
        load_recipe("simcrop-tiny", [change])
    assert "\n" not in refused.value.sentence


@pytest.mark.parametrize("ratio", [0.15, 0.5, 0.9])
def test_the_share_of_hidden_words_is_the_one_asked_for(build: Build, ratio: float) -> None:
    hidden = words = 0
    for seed in range(20):
        objective, batch = build("simcrop", mlm={"ratio": ratio, "unit": "token"})
        words += int((batch.report.word >= 0).sum())
        hidden += len(objective.draw(batch, seed).drawn["masked_at"])
    assert hidden / words == pytest.approx(ratio, abs=0.03)
