"""What `simcrop audit` asks of every scan, and what it answers, kept beside the cohort's features as it is made.

Axes: s scan, q distinct sentence, e features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simcrop.data.report import sentences
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.format import FEATURES
from simcrop.engine.progress import show_progress
from simcrop.evaluation.asking import encode_once
from simcrop.evaluation.sentence_scores import own_answers
from simcrop.evaluation.wording.perturb import Changed, found_in, perturb
from simcrop.files.digest import digest_of_bytes
from simcrop.model import Model
from simcrop.tasks.features.scan_vectors import kept_vectors
from simcrop.tasks.labelled import patients_of

TRIES = 20


@dataclass(frozen=True, eq=False)
class AskedScan:
    """One scan: the sentences of its report, those that claim something with their changes, sentences of others about
    findings that it lacks, and which scan of another patient its own sentences are asked of (None: there is none).
    """

    report: tuple[str, ...]
    changed: tuple[Changed, ...]
    lacking: tuple[str, ...]
    partner: int | None

    @property
    def there(self) -> list[str]:
        return [of.text for of in self.changed if of.claim == "asserts"]

    @property
    def denied(self) -> list[str]:
        return [of.text for of in self.changed if of.claim == "denies"]


@dataclass(frozen=True, eq=False)
class Answered:
    """`columns`: for each scan where each of its sentences stands; `scores` and `nearest` `(s, width)`."""

    columns: tuple[dict[str, int], ...]
    scores: np.ndarray
    nearest: np.ndarray

    def score(self, scan: int | None, text: str) -> float:
        """NaN where there is no such scan."""
        if scan is None:
            return float("nan")
        return float(self.scores[scan, self.columns[scan][text]])

    def patch(self, scan: int, text: str) -> int:
        return int(self.nearest[scan, self.columns[scan][text]])


def draw_asked(studies: Cohort, seed: int) -> list[AskedScan]:
    """The same seed asks any model the same."""
    rng, patients = np.random.default_rng((seed, 5)), patients_of(studies)
    labels = [study.labels for study in studies]
    reports = [tuple(sentences(text)) for text in studies.index["findings"].fill_null("").to_list()]
    changed = [tuple(perturb(report, of)) for report, of in zip(reports, labels, strict=True)]
    pool: dict[str, list[tuple[str, str]]] = {}
    for patient, of_scan in zip(patients, changed, strict=True):
        for of in of_scan:
            if of.claim == "asserts" and of.kind not in ("", "several"):
                pool.setdefault(of.kind, []).append((patient, of.text))
    partners = drawn_partners(patients, rng)
    asked = []
    for scan, report in enumerate(reports):
        has, own = found_in(report), labels[scan]
        foreign = {kind: of for kind, of in pool.items() if kind not in has and own.get(kind, 0) == 0}
        wanted = sum(of.claim == "asserts" for of in changed[scan])
        lacking = drawn_lacking(foreign, patients[scan], wanted, rng)
        asked.append(AskedScan(report, changed[scan], lacking, partners[scan]))
    return asked


def drawn_lacking(
    foreign: dict[str, list[tuple[str, str]]], patient: str, wanted: int, rng: np.random.Generator
) -> tuple[str, ...]:
    """As many sentences of other patients about findings that a scan lacks, those often spoken of more often."""
    kinds = sorted(foreign)
    if not kinds:
        return ()
    weights = np.array([len(foreign[kind]) for kind in kinds], dtype=float)
    drawn: dict[str, None] = {}
    for _ in range(TRIES * wanted):
        if len(drawn) == wanted:
            break
        of = foreign[kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]]
        whose, text = of[int(rng.integers(len(of)))]
        if whose != patient:
            drawn.setdefault(text)
    return tuple(drawn)


def drawn_partners(patients: np.ndarray, rng: np.random.Generator) -> list[int | None]:
    """For every scan the next one of another patient in a drawn circle; each is chosen about as often as any other."""
    order = rng.permutation(len(patients))
    whose = np.unique(patients, return_inverse=True)[1][order]
    ends = np.flatnonzero(
        whose != np.roll(whose, -1)
    )  # the last of each patient's scans that stand side by side
    partners: list[int | None] = [None] * len(patients)
    if len(ends):
        end = ends[np.searchsorted(ends, np.arange(len(order))) % len(ends)]
        for scan, partner in zip(order.tolist(), np.roll(order, -1)[end].tolist(), strict=True):
            partners[scan] = partner
    return partners


def texts_asked(asked: Sequence[AskedScan]) -> list[dict[str, int]]:
    """Of every scan its distinct sentences, and those of the scan whose partner it is, in their columns."""
    own = [
        [of.text for of in scan.changed]
        + [text for of in scan.changed for text in of.texts.values()]
        + [*scan.lacking]
        for scan in asked
    ]
    texts = [[*of] for of in own]
    for scan, of in zip(asked, own, strict=True):
        if scan.partner is not None:
            texts[scan.partner] += of
    return [{text: column for column, text in enumerate(dict.fromkeys(of))} for of in texts]


def answers_of(model: Model, digest: str, studies: Cohort, asked: Sequence[AskedScan], k: int) -> Answered:
    """Every scan looked at once. One that was asked the same before is not looked at again."""
    columns = texts_asked(asked)
    distinct = sorted({text for of in columns for text in of})
    # Sentences that the model cannot tell apart are one: equal scores then are equal to the last bit.
    each = encoded(model, digest, studies.path / FEATURES, distinct)
    vectors, one_of = np.unique(each, axis=0, return_inverse=True)
    place = dict(zip(distinct, one_of.reshape(-1).tolist(), strict=True))
    rows = [np.array([place[text] for text in of], dtype=np.int64) for of in columns]
    width = max(map(len, rows))

    def embedding(passes: list[range]) -> Iterator[tuple[range, np.ndarray]]:
        wanted = (([studies[i] for i in places], [rows[i] for i in places]) for places in passes)
        yield from zip(passes, own_answers(model, vectors, wanted, k, width), strict=True)

    how = digest_of_bytes(b"audit" + vectors.tobytes() + b"".join(row.tobytes() + b"|" for row in rows))
    made_of = zip(*(studies.index[column].to_list() for column in ("id", "checksum", "affine")), strict=True)
    names = [f"{digest} {how} {k} {study}" for study in made_of]
    path = studies.path / FEATURES / f"{digest[:12]}-{how[:12]}-{k}.vectors"
    found = kept_vectors(embedding, names, path, show_progress("scans", quiet=5.0), must_keep=False)
    return Answered(tuple(columns), found[:, :width], found[:, width:])


def encoded(model: Model, digest: str, folder: Path, texts: Sequence[str]) -> np.ndarray:
    """`(q, e)` of length one, kept as they are made; long sentences beside long ones, so that little is padded."""
    order = sorted(texts, key=lambda text: (len(text), text))

    def embedding(passes: list[range]) -> Iterator[tuple[range, np.ndarray]]:
        for places in passes:
            some = [order[i] for i in places]
            known = encode_once(model, some)
            yield places, np.stack([known[text] for text in some]).astype(np.float32)

    path, progress = folder / f"{digest[:12]}-sentences.vectors", show_progress("sentences", quiet=5.0)
    names = [f"{digest} {text}" for text in order]
    found = kept_vectors(embedding, names, path, progress, must_keep=False, unit="sentences")
    place = {text: row for row, text in enumerate(order)}
    return found[[place[text] for text in texts]]
