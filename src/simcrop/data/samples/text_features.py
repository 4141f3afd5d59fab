"""Every distinct sentence of a cohort, once: its frozen text feature and how many reports say it.

Axes: u distinct sentence, d features. Features are kept beside the cohort, because the text encoder never changes;
several processes share the work of encoding.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from simcrop.data.samples.batch import LEVELS
from simcrop.data.samples.split_reports import Tell
from simcrop.data.stated_size import stated_size_mm
from simcrop.files.text_list import TextList
from simcrop.files.vectors import append_vectors, read_vectors
from simcrop.files.whole import StoreError

Encode = Callable[[list[str]], Tensor]


@runtime_checkable
class Ranks(Protocol):
    """The processes that encode together."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    def total(self, values: Tensor) -> Tensor:
        """Sum over all of them, the same for each."""
        ...


@dataclass(frozen=True)
class OneProcess:
    """Nobody to share with."""

    rank: int = 0
    world: int = 1

    def total(self, values: Tensor) -> Tensor:
        return values


ALONE = OneProcess()


@dataclass(frozen=True)
class TextQuestions:
    """What else a method wants to know of the sentences: `opposite_of` turns one round, `claims_of` says what
    it asserts (1) or denies (-1) of so many kinds of finding, `level_of` which of `LEVELS` it states, None where there
    is nothing to say; `further`: texts that no report says and that are encoded with the others.
    """

    opposite_of: Callable[[str], str | None] | None = None
    claims_of: Callable[[str], tuple[int, ...]] | None = None
    level_of: Callable[[str], str | None] | None = None
    further: tuple[str, ...] = ()


NOTHING = TextQuestions()


@dataclass(frozen=True)
class SentenceBank:
    """`features` is None when the text encoder is trained and nothing may be cached; `size_mm`: the length that a
    sentence states, NaN where none. The first `said` texts are those of the reports, the others were made or given:
    `opposite`: where a sentence turned round stands, its own place where there is none; `claims`, `level`: as in a
    batch.
    """

    texts: TextList
    document_frequency: Float[Tensor, " u"]
    size_mm: Float[Tensor, " u"]
    features: Float[Tensor, "u d"] | None
    said: int
    opposite: Int[Tensor, " u"] | None = None
    claims: Int[Tensor, "u k"] | None = None
    level: Int[Tensor, " u"] | None = None

    def ids(self, sentences: Sequence[str]) -> list[int]:
        """Where each sentence stands in the bank. Raises KeyError of one that it does not hold."""
        return [self.id(sentence) for sentence in sentences]

    def places(self, reports: Sequence[Sequence[str]]) -> list[Int[np.ndarray, " s"]]:
        """The same for all texts of many reports, which is sooner done at once."""
        place = {text: i for i, text in enumerate(self.texts)}
        return [np.array([place[text] for text in report], np.int32) for report in reports]

    def id(self, sentence: str) -> int:
        place = self.found(sentence)
        if place is None:
            raise KeyError(sentence)
        return place

    def found(self, sentence: str) -> int | None:
        """Its place, if it has one: both those that reports say and those that they do not are in order."""
        place = self.texts.place(sentence, 0, self.said)
        return self.texts.place(sentence, self.said, len(self.texts)) if place is None else place

    def frequencies(self, sentences: Sequence[str]) -> Float[Tensor, " s"]:
        """Of many sentences; 0 for one that the bank does not hold, too."""
        places = [self.found(sentence) for sentence in sentences]
        return torch.tensor([0.0 if i is None else float(self.document_frequency[i]) for i in places])

    def center(self) -> Float[Tensor, " d"] | None:
        """Mean feature over the distinct sentences of the reports, for `align.center_text`."""
        if self.features is None:
            return None
        said = self.features[: self.said]
        return said.mean(0) if len(said) else said.new_zeros(said.shape[1])


def build_bank(
    reports: Sequence[Sequence[str]],
    encode: Encode | None,
    cache: Path | None = None,
    chunk: int = 256,
    ranks: Ranks = ALONE,
    tell: Tell | None = None,
    asked: TextQuestions = NOTHING,
) -> SentenceBank:
    """Count the sentences of all reports and encode, `chunk` at a time, those whose features `cache` does not hold.

    All of `ranks` call this with the same reports. `tell` hears how many sentences are encoded, of how many. What is
    `asked` for besides is encoded and kept alike.
    """
    own = sorted({sentence for report in reports for sentence in report})
    turned = {text: asked.opposite_of(text) for text in own} if asked.opposite_of else {}
    further = {*asked.further, *(text for text in turned.values() if text)}
    texts = own + sorted(further.difference(own))
    frequency = document_frequencies(texts, reports)
    sizes = torch.tensor([stated_size_mm(text) or math.nan for text in texts])
    index = {text: i for i, text in enumerate(texts)}
    features = None if encode is None else features_of(texts, encode, cache, chunk, ranks, tell)
    opposite = (
        torch.tensor([index[turned.get(text) or text] for text in texts]) if asked.opposite_of else None
    )
    claims = torch.tensor([asked.claims_of(text) for text in texts]) if asked.claims_of else None
    level = torch.tensor([number_of(asked.level_of(text)) for text in texts]) if asked.level_of else None
    return SentenceBank(TextList.of(texts), frequency, sizes, features, len(own), opposite, claims, level)


def document_frequencies(texts: Sequence[str], reports: Iterable[Sequence[str]]) -> Float[Tensor, " u"]:
    """In what share of the reports that say something each text stands, 0 for one that none says. Scans without a
    report do not count: every sentence would look rarer than it is where reports are written.
    """
    wanted, count, said = set(texts), Counter[str](), 0
    for report in reports:
        count.update(wanted.intersection(report))
        said += bool(report)
    return torch.tensor([count[text] / max(1, said) for text in texts], dtype=torch.float32)


def number_of(level: str | None) -> int:
    """The place among `LEVELS`."""
    return -1 if level is None else LEVELS.index(level)


def features_of(
    texts: list[str],
    encode: Encode,
    cache: Path | None,
    chunk: int,
    ranks: Ranks,
    tell: Tell | None,
) -> Float[Tensor, "u d"]:
    """Features in the order of `texts`. Those that any process misses are encoded, long beside long: padding to the
    longest then costs little. In each round every process encodes its share, and the first keeps what all have made.
    """
    if not texts:
        return encode([""])[:0]
    found = read_vectors(cache, texts) if cache else None
    known = torch.zeros(len(texts), dtype=torch.bool) if found is None else torch.from_numpy(found.known)
    missing = torch.nonzero(ranks.total((~known).float()))[:, 0].tolist()
    if not missing and found is not None:
        return torch.from_numpy(found.vectors)
    missing.sort(key=lambda i: len(texts[i]))
    rounds: list[Tensor] = []
    for start in range(0, len(missing), chunk * ranks.world):
        together = [texts[i] for i in missing[start : start + chunk * ranks.world]]
        mine = together[ranks.rank :: ranks.world]
        encoded = encode(mine or [""])
        rows = encoded.new_zeros(len(together), encoded.shape[1])
        rows[ranks.rank :: ranks.world] = encoded[: len(mine)]
        rounds.append(ranks.total(rows))
        if ranks.rank == 0:
            keep(cache, together, rounds[-1])
        if tell is not None:
            tell(start + len(together), len(missing))
    made = torch.cat(rounds)
    features = made.new_empty(len(texts), made.shape[1])
    if found is not None and known.any():
        features[known] = torch.from_numpy(found.vectors[found.known]).to(made)
    features[missing] = made
    return features


def keep(cache: Path | None, texts: list[str], features: Float[Tensor, "s d"]) -> None:
    """For the next run; a read-only cohort or a full disk simply keeps none."""
    if cache is None:
        return
    with suppress(StoreError, OSError):
        cache.parent.mkdir(exist_ok=True)
        append_vectors(cache, texts, features.float().cpu().numpy())
