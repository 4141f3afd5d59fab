"""Metrics that can refute an alignment: what a sentence finds in its own image, in none, and in another one's.

Axes: b image with its report, s sentence (of all reports, flat), n patch, e features that sentences and patches share.
Eq. 4 can be met by a fixed map from place to sentence. A model that does so retrieves as well from empty images as
from true ones; one that looks does not.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from simcrop.data.samples.batch import Sentences
from simcrop.losses import products
from simcrop.metrics import effective_rank

# Sentences in this share of the training reports or more tell images apart no longer.
MAX_DOCUMENT_FREQUENCY = 0.15


def control_metrics(
    embeddings: Float[Tensor, "s e"],
    sentences: Sentences,
    seen: Float[Tensor, "b n e"],
    blank: Float[Tensor, "n e"],
    pooled: Float[Tensor, "b d"],
    k: int,
    scored: int,
) -> dict[str, float]:
    """All controls that can be computed; one that is not defined is not there.

    `blank`: features of an image of air; `pooled`: mean patch feature of each image; `k`: patches of a region;
    `scored`: patches that score a sentence in an image.
    """
    image_index, sentence_id = sentences.image_index, sentences.sentence_id
    studies = len(seen)
    metrics = {
        "align_accuracy": align_accuracy(embeddings, image_index, sentence_id, seen, k),
        "align_accuracy_blank": align_accuracy(
            embeddings, image_index, sentence_id, blank.expand(studies, -1, -1), k
        ),
        "retrieval_auc": retrieval_auc(
            image_scores(embeddings, seen, scored),
            image_index,
            sentence_id,
            sentences.document_frequency,
        ),
        "effective_rank": effective_rank(pooled.float().cpu().numpy()),
    }
    if studies > 1:
        metrics["align_accuracy_mispaired"] = align_accuracy(
            embeddings, image_index, sentence_id, seen.roll(1, 0), k
        )
    return {name: value for name, value in metrics.items() if value == value}


def align_accuracy(
    embeddings: Float[Tensor, "s e"],
    image_index: Int[Tensor, " s"],
    sentence_id: Int[Tensor, " s"],
    seen: Float[Tensor, "b n e"],
    k: int,
) -> float:
    """Retrieval within a report, as Eq. 4 asks for: how often a sentence's own region is the nearest of its report,
    and a region's own sentence, both averaged. Reports with one sentence ask nothing; equal sentences are one. NaN
    when no report asks.
    """
    right: list[Tensor] = []
    for study in image_index.unique().tolist():
        mine = image_index == study
        if len(sentence_id[mine].unique()) < 2:
            continue
        text, name = normalize(embeddings[mine], dim=-1), sentence_id[mine]
        likeness = products(normalize(regions(text, seen[study], k), dim=-1), text, "i e, j e -> i j")
        right += [name[likeness.argmax(1)] == name, name[likeness.argmax(0)] == name]
    return float(torch.cat(right).float().mean()) if right else float("nan")


def regions(text: Float[Tensor, "s e"], patches: Float[Tensor, "n e"], k: int) -> Float[Tensor, "s e"]:
    """Mean of the `k` patches nearest to each sentence (Eq. 2-3)."""
    nearest = products(text, patches, "s e, n e -> s n").topk(min(k, len(patches))).indices
    return patches[nearest].mean(1)


def image_scores(
    embeddings: Float[Tensor, "s e"], seen: Float[Tensor, "b n e"], k: int
) -> Float[Tensor, "s b"]:
    """`losses.region_scores`, one image after the other: a sentence's similarity with all patches of all is large."""
    scores = [
        products(embeddings, image, "s e, n e -> s n").topk(min(k, len(image))).values.mean(-1)
        for image in seen
    ]
    return torch.stack(scores, dim=1)


def retrieval_auc(
    scores: Float[Tensor, "s b"],
    image_index: Int[Tensor, " s"],
    sentence_id: Int[Tensor, " s"],
    document_frequency: Float[Tensor, " s"],
) -> float:
    """Chance that a rare sentence scores its own image above one whose report lacks it; a tie counts half.

    The mean over sentences; NaN when no sentence is rare enough or none has an image to be told from.
    """
    images = torch.arange(scores.shape[1], device=scores.device)
    own = image_index[:, None] == images[None, :]
    lacks = (sentence_id[:, None] == sentence_id[None, :]).float() @ own.float() == 0
    asked = (document_frequency < MAX_DOCUMENT_FREQUENCY) & lacks.any(1)
    if not asked.any():
        return float("nan")
    mine = scores.gather(1, image_index[:, None])
    won = (mine > scores).float() + 0.5 * (mine == scores).float()
    return float(((won * lacks).sum(1) / lacks.sum(1).clamp(min=1))[asked].mean())
