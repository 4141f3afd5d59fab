"""The sentences by which a method learns labels, from a protocol of zero-shot classification.

Axes: t template, l label, d features.
"""

from collections.abc import Sequence

import torch

from simcrop.data.samples.text_features import SentenceBank
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.schema import LABEL
from simcrop.errors import SimcropError
from simcrop.evaluation.wording.protocol import Protocol
from simcrop.objectives.needs import Prompts


def sides_of(asking: Protocol, labels: Sequence[str]) -> list[list[list[str]]]:
    """The sentences that say yes and those that say no, template by template, for every label. Raises SimcropError of a
    protocol that does not ask for each in the same words.
    """
    if asking.questions or len(asking.labels_of(labels)) < len(labels):
        raise SimcropError(
            "bad-setting",
            "align.prompts.protocol must have templates and leave none of the labels out: choose another, or name "
            "those that it asks for in align.prompts.labels",
        )
    pairs = [asking.pairs_of(label) for label in labels]
    return [
        [[of_label[t][side] for of_label in pairs] for t in range(len(asking.templates))] for side in (0, 1)
    ]


def prompts_of(asking: Protocol, labels: Sequence[str], bank: SentenceBank, studies: Cohort) -> Prompts:
    """Their features, and how rare each label is among these studies."""
    if bank.features is None:
        raise SimcropError("bad-setting", "align.prompts needs a frozen text encoder (text.freeze = true)")
    features = [[bank.features[bank.ids(row)] for row in side] for side in sides_of(asking, labels)]
    columns = [studies.index[LABEL + name] for name in labels]
    has, lacks = (
        torch.tensor([int((column == is_there).sum()) for column in columns]) for is_there in (1, 0)
    )
    return Prompts(
        torch.stack([torch.stack(side) for side in features]),
        torch.where(has > 0, lacks / has, 0.0),
    )
