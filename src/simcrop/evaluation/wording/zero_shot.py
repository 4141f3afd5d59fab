"""A label without a label: a sentence that says it is there against one that says it is not.

Axes: s scan, q sentence, l label, t template, e features that sentences and patches share.
A sentence scores a scan by the mean of its nearest patches; the label by what the one sentence scores above the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import normalize

from simcrop.evaluation.asking import encode_once
from simcrop.evaluation.wording.protocol import Protocol
from simcrop.model import Model


@dataclass(frozen=True, eq=False)
class Prompts:
    """Vectors `(q, e)` of length one, and for each label the rows of its pairs: first all of them together (templates
    that were averaged) or each of its questions, then each template alone, by which the spread over wordings is told.
    """

    vectors: np.ndarray
    pairs: tuple[tuple[tuple[int, int], ...], ...]
    alone: tuple[tuple[tuple[int, int], ...], ...]

    def scores(self, found: np.ndarray) -> np.ndarray:
        """`(s, l)` of what every sentence scored, `(s, q)`: the clearest answer among a label's questions."""
        return np.stack([above(found, pairs).max(1) for pairs in self.pairs], axis=1)

    def scores_alone(self, found: np.ndarray) -> np.ndarray:
        """`(t, s, l)`: each template by itself; t is 0 where a protocol has questions."""
        if not self.alone or not self.alone[0]:
            return np.zeros((0, len(found), len(self.pairs)))
        return np.stack([above(found, pairs) for pairs in self.alone], axis=2).transpose(1, 0, 2)


def above(found: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """`(s, p)`: the sentence that says yes minus the one that says no."""
    return found[:, [yes for yes, _ in pairs]] - found[:, [no for _, no in pairs]]


def prompts_of(model: Model, protocol: Protocol, labels: Sequence[str]) -> Prompts:
    """Every sentence encoded once. Raises SimcropError of a model that reads none."""
    asked = [protocol.pairs_of(label) for label in labels]
    texts = sorted({text for pairs in asked for pair in pairs for text in pair})
    known = encode_once(model, texts)
    rows, place = [known[text] for text in texts], {text: i for i, text in enumerate(texts)}
    alone = [tuple((place[yes], place[no]) for yes, no in pairs) for pairs in asked]
    if protocol.questions:
        return Prompts(np.stack(rows), tuple(alone), ())
    together = []
    for pairs in alone:
        for side in (0, 1):
            mean = torch.from_numpy(np.mean([rows[pair[side]] for pair in pairs], axis=0))
            rows.append(normalize(mean, dim=0).numpy())
        together.append(((len(rows) - 2, len(rows) - 1),))
    return Prompts(np.stack(rows), tuple(together), tuple(alone))
