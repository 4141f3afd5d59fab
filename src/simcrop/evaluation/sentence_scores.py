"""How well sentences fit scans: each by the mean of its nearest patches. Axes: s scan, q sentence, n patch, e
features.

Scans come one pass after the other, and their patches are forgotten as soon as they were asked.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from simcrop.data.store.cohort import Study
from simcrop.evaluation.controls import image_scores
from simcrop.evaluation.features import volumes_ahead
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
