"""How well reports, sentences and scans fit one another: by a model of ours, or by vectors that were made elsewhere.

Axes: r report, s scan, q sentence that is asked alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simcrop.data.report import sentences
from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.reports import read_reports
from simcrop.files.embeddings import Embeddings, holds_texts, read_texts
from simcrop.model import load
from simcrop.tasks.features.kept_scores import kept_scores
from simcrop.tasks.features.source import FromFiles, FromModel
from simcrop.tasks.retrieval.judged import cosines
from simcrop.tasks.scored_patches import scored_patches

MOST_SENTENCES = 2000


@dataclass(frozen=True, eq=False)
class Sentences:
    """Those that are asked alone, of `distinct` ones: their scores and which reports hold them, both `(q, s)`."""

    asked: tuple[str, ...]
    distinct: int
    scores: np.ndarray
    holds: np.ndarray


@dataclass(frozen=True, eq=False)
class Fits:
    """`reports` `(r, s)`; None where nothing reads texts. `k`: patches that score a sentence; `how` for the page."""

    reports: np.ndarray | None
    sentences: Sentences | None
    k: int | None
    how: str


def fits_by_model(
    source: FromModel, asked: Cohort, texts: list[str], top_k: int | None, most: int, seed: int
) -> Fits:
    """Every scan is looked at once; raises SimcropError of a method that reads no sentences."""
    network = load(source.folder)
    k = scored_patches(network, top_k, network.scored)
    reports = read_reports(network, texts)
    chosen = drawn(len(reports.sentences), most, seed)

    def joined(scores: np.ndarray) -> np.ndarray:
        return np.concatenate([reports.scores(scores), scores[:, chosen]], axis=1)

    how = b"".join([*(np.append(rows, -1).tobytes() for rows in reports.members), chosen.tobytes()])
    found = kept_scores(network, source.digest, asked, reports.vectors, k, joined, how)
    alone = Sentences(
        tuple(reports.sentences[row] for row in chosen),
        len(reports.sentences),
        np.ascontiguousarray(found[:, len(texts) :].T),
        holding(chosen, reports.members, len(reports.sentences)),
    )
    said = f"A sentence scores a scan by its {k} nearest patches, a report by the mean over its sentences."
    return Fits(np.ascontiguousarray(found[:, : len(texts)].T), alone if len(chosen) else None, k, said)


def drawn(count: int, most: int, seed: int) -> np.ndarray:
    """Rows of at most `most` of `count` sentences, in their order."""
    rows = np.arange(count)
    if count <= most:
        return rows
    return np.sort(np.random.default_rng((seed, 7)).choice(rows, most, replace=False))


def holding(chosen: np.ndarray, members: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Which of the reports hold the `chosen` of `count` sentences, `(q, r)`; `members`: the sentences of each."""
    place = np.full(count, -1)
    place[chosen] = np.arange(len(chosen))
    holds = np.zeros((len(chosen), len(members)), dtype=bool)
    for report, of in enumerate(members):
        found = place[of]
        holds[found[found >= 0], report] = True
    return holds


def fits_by_vectors(source: FromFiles, texts: Embeddings | None, where: str, asked: Cohort) -> Fits:
    """The cosine of two vectors; without text vectors there is nothing to ask in words."""
    if texts is None:
        return Fits(
            None,
            None,
            None,
            "Nothing was asked in words: no vectors of reports lie beside the scans', and --texts names none.",
        )
    scans, reports = source.rows(asked, "mean"), texts.of(asked.index["id"].to_list(), where)
    if scans.shape[1] != reports.shape[1]:
        raise SimcropError(
            "bad-features",
            f"vectors of reports have {reports.shape[1]} numbers and those of scans {scans.shape[1]}: {where} and "
            f"{source.path} are not of one space",
        )
    how = "A report fits a scan by the cosine of their vectors. Single sentences were not asked: they have no vectors."
    return Fits(cosines(reports, scans), None, None, how)


def texts_of_files(path: str, texts: Path | None) -> tuple[Embeddings | None, str]:
    """Vectors of reports, and where they lie: where the user says, or beside the scans'."""
    if texts is not None:
        return read_texts(texts), str(texts)
    return (read_texts(Path(path)) if holds_texts(Path(path)) else None), path


def typed_scores(source: FromModel, studies: Cohort, words: Sequence[str], top_k: int | None) -> np.ndarray:
    """`(sentence, s)` of sentences that somebody typed."""
    network = load(source.folder)
    vectors = network.encode(list(words)).cpu().numpy()
    k = scored_patches(network, top_k, network.scored)
    return kept_scores(network, source.digest, studies, vectors, k).T


def texts_of(studies: Cohort, text: str) -> list[str]:
    """What is asked of each study."""
    columns = ("findings", "impression") if text == "report" else (text,)
    rows = zip(*(studies.index[column].fill_null("").to_list() for column in columns), strict=True)
    return ["\n\n".join(part for part in parts if part.strip()) for parts in rows]


def with_text(studies: Cohort, text: str) -> Cohort:
    """Those whose report says something."""
    return studies.keep([row for row, words in enumerate(texts_of(studies, text)) if sentences(words)])
