"""Mask words and predict them: Eq. 6, which several methods share.

Axes: b study, r report that is read in a step, t word piece, m masked piece (of all these reports, flat).
"""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool
from pydantic import Field
from torch import Tensor

from simcrop.data.samples.tokenizer import Tokenizer, Tokens, mask_tokens
from simcrop.objectives.draws import WORDS, Draws
from simcrop.settings import Settings


class MlmSettings(Settings):
    """Masked report (Eq. 6). `weight` is lambda 2; at 0 no report is read whole. `vocabulary = compact` predicts only
    words that the cohort uses. `share` of a batch's reports are read in a step: where the network is small, the frozen
    text encoder's pass over them costs more than all else.
    """

    weight: float = Field(default=1.0, ge=0)
    share: float = Field(default=1.0, gt=0, le=1)
    ratio: float = Field(default=0.75, gt=0, lt=1)
    unit: Literal["word", "token"] = "word"
    replace: Literal["mask_only", "bert"] = "mask_only"
    loss_on: Literal["masked", "all"] = "masked"
    vocabulary: Literal["full", "compact"] = "full"


def draw_words(
    report: Tokens, tokenizer: Tokenizer, mlm: MlmSettings, draws: Draws
) -> tuple[Tokens, dict[str, Tensor]]:
    """The reports that are read in this step, with some words masked; and what there is to predict.

    `read`: `(r,)`, where they stand in the batch; `masked_at`: `(m,)`, places among all r x t pieces, and
    `masked_ids`, what stands there in truth.
    """
    read = draws.some(mlm.share)
    chance = draws.uniform(WORDS, report.ids.shape[1], 3, dtype=torch.float64)[read]
    lengths = tuple(report.lengths[row] for row in read) if report.lengths else ()
    tokens = replace(report.each(lambda tensor: tensor[read]), lengths=lengths)
    shown = mask_tokens(tokens, tokenizer, chance, mlm.ratio, mlm.unit, mlm.replace)
    at = (shown.masked if mlm.loss_on == "masked" else of_reports(tokens)).flatten().nonzero()[:, 0]
    return replace(tokens, ids=shown.ids), {
        "read": torch.tensor(read, dtype=torch.long),
        "masked_at": at,
        "masked_ids": tokens.ids.flatten()[at],
    }


def of_reports(tokens: Tokens) -> Bool[Tensor, "r t"]:
    """Every piece, begin and end included, of the reports that say something."""
    return tokens.mask & (tokens.word >= 0).any(1, keepdim=True)
