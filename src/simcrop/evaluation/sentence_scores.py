"""How well sentences fit scans: each by the mean of its nearest patches. Axes: s scan, q sentence, n patch, e
features.

Scans come one pass after the other, and their patches are forgotten as soon as they were asked.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from simcrop.data.store.cohort import Study
from simcrop.evaluation.controls import image_scores
from simcrop.evaluation.features import volumes_ahead
from simcrop.model import Model

# Sentences that are compared with a scan at once: with the patches of a paper-size scan some 45 MB.
AT_ONCE = 4096


@torch.no_grad()
def sentence_scores(
    model: Model, vectors: np.ndarray, passes: Iterable[Sequence[Study]], k: int
) -> Iterator[np.ndarray]:
    """`(s, q)` of one pass of studies after the other; `vectors` `(q, e)` of length one, `k` patches score a
    sentence.
    """
    texts = torch.from_numpy(vectors).float().to(model.device)
    for _, volumes in volumes_ahead(passes, model.spec):
        seen = model.regions_of(volumes).float()
        parts = [image_scores(texts[at : at + AT_ONCE], seen, k).T for at in range(0, len(texts), AT_ONCE)]
        yield torch.cat(parts, dim=1).cpu().numpy()
