"""What the objectives' tests share: four toy studies as a batch, and learning it by heart.

Axes: b 4 studies of 24 x 28 x 15 voxels, l 3 labels.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simcrop.config import Recipe, build_recipe
from simcrop.data.organs import parts_of_organs
from simcrop.data.report import Report
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.collate import Collate, Texts, texts_of
from simcrop.data.samples.dataset import Sample
from simcrop.data.samples.text_features import TextQuestions, build_bank
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.evaluation.wording.protocol import Protocol
from simcrop.evaluation.wording.stated import claims_of, level_of, opposite_of
from simcrop.nn.text_encoder import read_text_encoder
from simcrop.objectives.method import Objective
from simcrop.objectives.needs import Components, Prompts
from simcrop.objectives.registry import methods
from simcrop.tasks.training.prompts import sides_of

FINDINGS = (
    "a nodule in the left upper lobe. no effusion. the lung is clear.",
    "no effusion. the right lobe is not in the left lung.",
    "",
    "the nodule is in the right lower lobe. no nodule in the left lung.",
)
LABELS = (
    {"nodule": 1, "effusion": 0, "lung": 1},
    {"nodule": 0, "effusion": 0, "lung": None},
    {"nodule": None, "effusion": 1, "lung": 0},
    {"nodule": 1, "effusion": None, "lung": 1},
)
PROMPTS = (("a {label}.", "no {label}."), ("the {label} is in the lung.", "the {label} is not in the lung."))
OWN: dict[str, dict[str, Any]] = {  # groups that no other method has
    "m3ae": {"co_attention": {"depth": 2, "dim": 32, "heads": 4, "hidden": 40}, "m3ae": {"mim_layer": 1}}
}
COMMON = ("input", "vision", "text", "optim", "engine")


@pytest.fixture
def build(
    build_parts: Callable[..., tuple[Objective, list[Batch]]],
) -> Callable[..., tuple[Objective, Batch]]:
    """An objective by the name of its method, and a batch as its recipe wants it; keywords are groups that change."""

    def made(method: str, findings: tuple[str, ...] = FINDINGS, **groups: Any) -> tuple[Objective, Batch]:
        objective, (batch,) = build_parts(method, findings, len(findings), **groups)
        return objective, batch

    return made


@pytest.fixture
def build_parts(toy_tree: dict[str, Any], tiny_bert: Path) -> Callable[..., tuple[Objective, list[Batch]]]:
    """The same with the studies in micro-batches of a size."""

    def made(
        method: str, findings: tuple[str, ...], size: int, **groups: Any
    ) -> tuple[Objective, list[Batch]]:
        known = methods()[method].model_fields
        tree = {k: v for k, v in toy_tree.items() if k in COMMON or k in known} | {"method": method}
        if "depth" not in known["vision"].default.__class__.model_fields:
            tree["vision"] = {"dim": 16}
        tree |= OWN.get(method, {})
        tree |= {n: {**tree.get(n, {}), **g} if isinstance(g, dict) else g for n, g in groups.items()}
        recipe = build_recipe(tree, "toy")
        needs = recipe.text_needs
        organs = () if needs is None or needs.organs is None else needs.organs.names
        texts, components = text_side(recipe, tiny_bert, [report_of(f) for f in findings], organs)
        scale = recipe.fine_scale
        shape = (len(findings), 1, 24 * scale, 28 * scale, 15 * scale)
        finer = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        volumes = finer[..., ::scale, ::scale, ::scale]
        masks = (volumes * 1.5 + 1.5).short()  # 0, 1 and 2: the brighter, the more
        if organs:
            masks = organ_masks(len(findings), len(organs))
        samples = [
            Sample(
                f"study-{i}",
                volumes[i],
                report_of(f),
                LABELS[i % len(LABELS)],
                masks[i],
                seed=100 + i,
                fine=finer[i] if scale > 1 else None,
            )
            for i, f in enumerate(findings)
        ]
        collate = Collate(texts, recipe.label_names or (), recipe.wants_masks)
        batches = [collate(samples[i : i + size]) for i in range(0, len(samples), size)]  # type: ignore[arg-type]
        assert all(isinstance(batch, Batch) for batch in batches)
        torch.manual_seed(1)
        return recipe.build(components).train(), batches  # type: ignore[return-value]

    return made


def report_of(findings: str) -> Report:
    """A study without findings has no word at all; one whose findings are a blank has an impression alone."""
    return Report(findings, "no effusion." if findings else "")


def organ_masks(studies: int, organs: int) -> torch.Tensor:
    """A box for each organ, inside the volume but for the first one of study 1, which the crop cuts off."""
    masks = torch.zeros(studies, 1, 24, 28, 15, dtype=torch.int16)
    for organ in range(organs):
        masks[:, :, 3 + 5 * organ : 8 + 5 * organ, 4:20, 2:11] = organ + 1
    masks[1, :, :4, 4:20, 2:11] = 1
    return masks


def text_side(
    recipe: Recipe, bert: Path, reports: list[Report], organs: tuple[str, ...] = ()
) -> tuple[Texts | None, Components]:
    """Every report read and every text encoded, when the method wants them; of `organs` one sentence each, the last of
    which is normal.
    """
    needs = recipe.text_needs
    if needs is None:
        return None, Components(recipe.input.grid)
    tokenizer = Tokenizer.load(bert)
    if not needs.encoder:
        bank = build_bank([[] for _ in reports], None)
        return Texts(tokenizer, bank, 64, 64, None), Components(recipe.input.grid, None, tokenizer)
    text = read_text_encoder(bert, recipe.text.freeze)

    def encode(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer.encode(texts, recipe.text_length)
        return text.pool(text(tokens.ids, tokens.mask), tokens.mask, needs.pool)

    asking, labels = Protocol(whose="ours", templates=PROMPTS), recipe.label_names or ()
    asked = TextQuestions(
        opposite_of if needs.opposites else None,
        claims_of if needs.opposites else None,
        level_of if needs.levels else None,
        tuple(text for side in sides_of(asking, labels) for row in side for text in row)
        if needs.prompts
        else (),
    )
    said = (
        [r.sentences[: len(organs)] for r in reports]
        if organs
        else [texts_of(r, needs.unit) for r in reports]
    )
    said = [of_one if len(of_one) == len(organs) else [] for of_one in said] if organs else said
    bank = build_bank(said, encode if recipe.text.freeze and needs.unit else None, asked=asked)
    texts = Texts(tokenizer, bank, 64, recipe.text_length, needs.unit, needs.predicted != "no")
    if organs:
        ids = [f"study-{i}" for i in range(len(reports))]
        known = {i: np.array(bank.ids(of_one), np.int32) for i, of_one in zip(ids, said, strict=True)}
        normal = {i: np.arange(len(of_one)) == len(organs) - 1 for i, of_one in zip(ids, said, strict=True)}
        texts = replace(texts, known=known, normal=normal)
    center = bank.center() if needs.centred else None
    prompts = None
    if needs.prompts:
        features = [[bank.features[bank.ids(row)] for row in side] for side in sides_of(asking, labels)]  # type: ignore[index]
        rarer = torch.tensor([0.5, 3.0, 40.0])
        prompts = Prompts(torch.stack([torch.stack(side) for side in features]), rarer)
    return texts, Components(
        recipe.input.grid,
        text,
        tokenizer,
        center=center,
        patch_mm=recipe.input.patch_mm,
        prompts=prompts,
        classes={number: parts_of_organs()[organ][0] for number, organ in enumerate(organs, 1)},
    )


@pytest.fixture
def learn_by_heart() -> Callable[..., tuple[dict[str, float], dict[str, float]]]:
    """Terms before and after many steps on one batch, the same patches masked every time."""

    def learn(
        objective: Objective, batch: Batch, steps: int, lr: float = 4e-3
    ) -> tuple[dict[str, float], dict[str, float]]:
        optimizer = build_optimizer(objective, OptimSettings(lr=lr, weight_decay=0.0))
        journal: list[dict[str, float]] = []
        for _ in range(steps):
            optimizer.zero_grad()
            terms = objective.losses(batch, 3)
            sum(terms.values()).backward()
            optimizer.step()
            journal.append({name: term.item() for name, term in terms.items()})
        return journal[0], journal[-1]

    return learn
