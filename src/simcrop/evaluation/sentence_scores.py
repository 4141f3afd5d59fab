"""How well sentences fit scans: each by the mean of its nearest patches. Axes: s scan, q sentence, n patch, e
features.

Scans come one pass after the other, and their patches are forgotten as soon as they were asked.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from simcrop.data.samples.dataset import placement_of
from simcrop.data.store.cohort import Study
from simcrop.evaluation.controls import image_scores
from simcrop.evaluation.features import volumes_ahead
from simcrop.losses import products
from simcrop.model import Model

# Sentences that are compared with a scan at once: with the patches of a paper-size scan some 45 MB.
AT_ONCE = 4096
# Scans of a pass that are encoded at once: what lies between the layers is most of the memory that this takes.
ENCODED = 4


@torch.no_grad()
def sentence_scores(
    model: Model, vectors: np.ndarray, passes: Iterable[Sequence[Study]], k: int
) -> Iterator[np.ndarray]:
    """`(s, q)` of one pass of studies after the other; `vectors` `(q, e)` of length one, `k` patches score a
    sentence.
    """
    texts = torch.from_numpy(vectors).float().to(model.device)
    for _, volumes in volumes_ahead(passes, model.spec):
        found = [scores_of(model.regions_of(some).float(), texts, k) for some in volumes.split(ENCODED)]
        yield torch.cat(found).numpy()


def scores_of(seen: Float[Tensor, "s n e"], texts: Float[Tensor, "q e"], k: int) -> Float[Tensor, "s q"]:
    """Some sentences at a time."""
    parts = [image_scores(texts[at : at + AT_ONCE], seen, k).T for at in range(0, len(texts), AT_ONCE)]
    return torch.cat(parts, dim=1).cpu()


@torch.no_grad()
def own_answers(
    model: Model,
    vectors: np.ndarray,
    passes: Iterable[tuple[Sequence[Study], Sequence[np.ndarray]]],
    k: int,
    width: int,
) -> Iterator[np.ndarray]:
    """Every scan asked sentences of its own, rows of `vectors` `(q, e)`: float32 `(s, 2 width)` of one pass after the
    other, first the scores, then the number of the nearest patch that holds any of the scan. Zeros where a scan is
    asked fewer.
    """
    asked = list(passes)
    texts = torch.from_numpy(vectors).float()
    for (studies, rows), (_, volumes) in zip(
        asked, volumes_ahead((studies for studies, _ in asked), model.spec), strict=True
    ):
        found = np.zeros((len(studies), 2 * width), dtype=np.float32)
        regions = torch.cat([model.regions_of(some).float().cpu() for some in volumes.split(ENCODED)])
        for answer, study, mine, seen in zip(found, studies, rows, regions, strict=True):
            distinct, place = np.unique(mine, return_inverse=True)
            similar = products(texts[distinct], seen, "s e, n e -> s n")
            scores = similar.topk(min(k, len(seen))).values.mean(-1).numpy()
            inside = torch.from_numpy(
                placement_of(study, model.spec).holds_scan(model.grid.shape).reshape(-1)
            )
            nearest = similar.masked_fill(~inside, -torch.inf).argmax(-1).numpy()
            answer[: len(mine)], answer[width : width + len(mine)] = scores[place], nearest[place]
        yield found
