"""Asks a model for every lesion of a phantom cohort, and for findings that are not there.

Axes: s sentence that names a lesion, n patch, e features that sentences and patches share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from simcrop.data.readers import read_stored
from simcrop.data.report import sentences
from simcrop.data.samples.dataset import placement_of
from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError
from simcrop.evaluation.features import regions
from simcrop.evaluation.foreign import AskedRows
from simcrop.evaluation.lesions import lesion_shares
from simcrop.evaluation.pointing_game import Pointed, PointingGame, score_pointing_game
from simcrop.evaluation.truth import KnownSentence, Truth
from simcrop.model import Model

TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class Question:
    """One sentence that shows a lesion, and another one about a finding that this scan lacks, if there is one."""

    study: str
    patient: str
    kind: str
    mask_value: int
    text: str
    swapped: str | None


def play_pointing_game(
    model: Model, studies: Cohort | Sequence[Study], truth: Truth, seed: int = 0
) -> PointingGame:
    """Whether the sentences of these studies point at their lesions. The same seed asks any model the same questions,
    so that a trained one and an untrained one can be compared.
    """
    return score_pointing_game(ask(model, studies, draw_questions(studies, truth, seed), truth), seed)


def draw_questions(studies: Cohort | Sequence[Study], truth: Truth, seed: int) -> list[Question]:
    """Every sentence that shows something, each with a swapped one drawn from other patients' findings."""
    known = [(study, truth.of(study.id)) for study in studies]
    shown = [
        (study, sentence, text_of(study, sentence))
        for study, of_study in known
        for sentence in of_study
        if sentence.shows
    ]
    has = {study.id: {s.finding for s in of_study if not s.negated} for study, of_study in known}
    rows = AskedRows((of.patient, what.finding) for of, what, _ in shown)
    rng, drawn = np.random.default_rng((seed, 4)), []
    for study, sentence, text in shown:
        foreign = rows.foreign(study.patient, has[study.id])
        swapped = shown[foreign[int(rng.integers(len(foreign)))]][2] if len(foreign) else None
        kind = sentence.finding or ""
        drawn.append(Question(study.id, study.patient, kind, sentence.mask_value, text, swapped))
    return drawn


@lru_cache(maxsize=1024)
def split_once(findings: str) -> tuple[str, ...]:
    """The sentences of a report that is asked about many times."""
    return tuple(sentences(findings))


def text_of(study: Study, sentence: KnownSentence) -> str:
    """The sentence's words, read from the report as the training reads them."""
    texts = split_once(study.findings)
    if sentence.sentence_index >= len(texts):
        raise SimcropError(
            "bad-truth", f"study {study.id}: its report is not the one that the truth describes"
        )
    return texts[sentence.sentence_index]


@torch.no_grad()
def ask(
    model: Model, studies: Cohort | Sequence[Study], questions: Sequence[Question], truth: Truth
) -> Pointed:
    """Similarity maps and lesion shares of all questions, in their order by study."""
    of_study: dict[str, list[Question]] = {}
    for question in questions:
        of_study.setdefault(question.study, []).append(question)
    texts = encode_once(model, [text for q in questions for text in (q.text, q.swapped) if text is not None])
    maps, swapped, lesion, order = [], [], [], []
    for batch, seen in regions(model, [study for study in studies if study.id in of_study]):
        for study, patches in zip(batch, seen.numpy(), strict=True):
            own, placement = of_study[study.id], placement_of(study, model.spec)
            outside = ~placement.holds_scan(model.grid.shape).reshape(-1)
            mask = read_mask(truth.mask_path(study.id))
            lesion.append(lesion_shares(mask, [q.mask_value for q in own], placement, model.grid))
            maps.append(similarity([q.text for q in own], texts, patches, outside))
            swapped.append(similarity([q.swapped for q in own], texts, patches, outside))
            order += own
    if not order:
        raise SimcropError("nothing-to-point-at", "no sentence of these studies names a lesion")
    return Pointed(
        np.concatenate(maps),
        np.concatenate(swapped),
        np.concatenate(lesion),
        [q.kind for q in order],
        [q.patient for q in order],
    )


def similarity(
    sentences: Sequence[str | None], texts: dict[str, np.ndarray], patches: np.ndarray, outside: np.ndarray
) -> np.ndarray:
    """Cosine similarity `(s, n)`; -inf where a patch holds none of the scan, a NaN row where nothing is asked."""
    maps = np.full((len(sentences), len(patches)), np.nan)
    for row, text in enumerate(sentences):
        if text is not None:
            maps[row] = np.where(outside, -np.inf, patches @ texts[text])
    return maps


def encode_once(model: Model, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Each distinct sentence with its vector of length one."""
    distinct = sorted(set(texts))
    parts = [model.encode(distinct[at : at + TEXTS_AT_ONCE]) for at in range(0, len(distinct), TEXTS_AT_ONCE)]
    vectors = torch.cat(parts).cpu().numpy() if parts else np.zeros((0, 0))
    return dict(zip(distinct, vectors, strict=True))


def read_mask(path: Path) -> np.ndarray:
    """The numbers of a lesion mask, `(x, y, z)` on the scan's own grid."""
    try:
        return read_stored(path).values
    except SimcropError as error:
        raise SimcropError(error.reason, f"{path}: {error.sentence}") from error
