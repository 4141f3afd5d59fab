"""Does a sentence find its own scan? On phantoms, where it is known in which other scans it would be true as well.

Axes: b scan, s sentence that shows a lesion, n patch, e features that sentences and patches share.
"""

from collections.abc import Sequence

import numpy as np
import torch

from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError
from simcrop.evaluation.asking import encode_once, text_of
from simcrop.evaluation.controls import image_scores
from simcrop.evaluation.features import regions
from simcrop.evaluation.truth import KnownSentence, Truth
from simcrop.metrics import auroc
from simcrop.model import Model

Claim = tuple[str | None, str | None, str | None]  # finding, side, lobe


def measure_retrieval(model: Model, studies: Cohort | Sequence[Study], truth: Truth) -> float:
    """Mean AUROC over sentences: the own scan's score against those of scans where the sentence would be false."""
    return float(np.nanmean(sentence_aurocs(model, studies, truth)[0]))


@torch.no_grad()
def sentence_aurocs(
    model: Model, studies: Cohort | Sequence[Study], truth: Truth
) -> tuple[np.ndarray, np.ndarray]:
    """The same sentence by sentence, `(s,)`, NaN where no scan lacks it, and whose scan each sentence is of.

    A scan's score is the mean similarity of its nearest patches, as many as the model's method says.
    """
    shown = [[sentence for sentence in truth.of(study.id) if sentence.shows] for study in studies]
    claims = [{claim_of(sentence) for sentence in of_study} for of_study in shown]
    questions = [(own, sentence) for own, of_study in enumerate(shown) for sentence in of_study]
    if not questions:
        raise SimcropError("nothing-to-point-at", "no sentence of these studies names a lesion")
    texts = [text_of(studies[own], sentence) for own, sentence in questions]
    vectors = encode_once(model, texts)
    embeddings = torch.from_numpy(np.stack([vectors[text] for text in texts])).float()
    scores = np.concatenate(
        [image_scores(embeddings, seen, model.scored).numpy() for _, seen in regions(model, studies)],
        axis=1,
    )
    found = [
        auroc(row, np.array([label(claim_of(sentence), has, scan == own) for scan, has in enumerate(claims)]))
        for row, (own, sentence) in zip(scores, questions, strict=True)
    ]
    return np.array(found), np.array([studies[own].patient for own, _ in questions])


def claim_of(sentence: KnownSentence) -> Claim:
    """What a sentence says is there, and where."""
    return sentence.finding, sentence.side, sentence.lobe


def label(claim: Claim, has: set[Claim], own: bool) -> float:
    """1 for the own scan, 0 for one where the claim is false, NaN for another one where it is true."""
    if own:
        return 1.0
    return float("nan") if claim in has else 0.0
