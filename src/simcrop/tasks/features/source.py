"""Where features come from: a model of ours, that encodes the cohort, or files that somebody else's encoder wrote.

Axes: s scan, d features.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.heads.tokens import Tokens
from simcrop.files.embeddings import Embeddings, holds_embeddings, read_embeddings
from simcrop.model.folder import model_folder, read_config
from simcrop.tasks.features.cohort_features import kept_features, model_digest
from simcrop.tasks.features.cohort_tokens import kept_tokens, tokens_in_files
from simcrop.tasks.labelled import provenance_note

FOREIGN = "the features were made elsewhere; whether their encoder has seen these test patients is not known"


@runtime_checkable
class FeatureSource(Protocol):
    """What a probe asks of features."""

    @property
    def digest(self) -> str:
        """The same for the same features only."""
        ...

    @property
    def encoder(self) -> str | None:
        """Which encoder made them, None where nobody says."""
        ...

    def note(self, cohort: Cohort, testing: Cohort) -> str:
        """Whether the encoder can have seen the test patients; refused when it has."""
        ...

    def rows(self, cohort: Cohort, pool: str) -> np.ndarray:
        """`(s, d)` of the whole cohort."""
        ...

    def random_rows(self, cohort: Cohort, pool: str, seed: int) -> np.ndarray | None:
        """The same of the encoder before its training, None where there is none to be had."""
        ...

    def tokens(self, cohort: Cohort, rows: np.ndarray, random_seed: int | None = None) -> Tokens | None:
        """All tokens of the scans in `rows`, in places of the whole cohort; with a seed those of the encoder before its
        training, None where there is none to be had.
        """
        ...

    def unmatched(self, cohort: Cohort) -> list[str]:
        """Ids that have features and are no scans of the cohort."""
        ...


def source_of(path: str, pool: str) -> FeatureSource:
    """A model or run folder, a Parquet table, or a folder of features."""
    if holds_embeddings(Path(path)):
        return FromFiles(path, read_embeddings(Path(path), pool))
    if Path(path).is_file():
        raise SimcropError(
            "bad-features",
            f"{path} is neither a model folder nor features: a Parquet table, or a folder of them",
        )
    folder = model_folder(Path(path))
    return FromModel(folder, read_config(folder), model_digest(folder))


@dataclass(frozen=True, eq=False)
class FromModel:
    """Every scan is encoded once, and kept in the cohort."""

    folder: Path
    config: dict[str, Any]
    digest: str

    @property
    def encoder(self) -> str | None:
        return self.digest

    def note(self, cohort: Cohort, testing: Cohort) -> str:
        return provenance_note(self.config, cohort, testing)

    def rows(self, cohort: Cohort, pool: str) -> np.ndarray:
        return kept_features(self.folder, cohort, pool)

    def random_rows(self, cohort: Cohort, pool: str, seed: int) -> np.ndarray | None:
        return kept_features(self.folder, cohort, pool, seed)

    def tokens(self, cohort: Cohort, rows: np.ndarray, random_seed: int | None = None) -> Tokens | None:
        return kept_tokens(self.folder, cohort, rows, random_seed)

    def unmatched(self, cohort: Cohort) -> list[str]:
        del cohort
        return []


@dataclass(frozen=True, eq=False)
class FromFiles:
    """Joined to the cohort by id."""

    path: str
    found: Embeddings

    @property
    def encoder(self) -> str | None:
        return None

    @property
    def digest(self) -> str:
        """That of all rows as names, `digest_of_names`, whose words for many scans are larger than the features."""
        ids, values = self.found.ids, self.found.values
        first = max(map(len, ids)) + 1  # letters in which any two of them differ, since no id comes twice
        begin = [words_of(*row)[:first] for row in zip(ids, values[:, : first // 8 + 1], strict=True)]
        digest = hashlib.sha256()
        for place, row in enumerate(sorted(range(len(ids)), key=begin.__getitem__)):
            words = words_of(ids[row], values[row])
            digest.update((f"\n{words}" if place else words).encode(errors="surrogateescape"))
        return digest.hexdigest()

    def note(self, cohort: Cohort, testing: Cohort) -> str:
        del cohort, testing
        return FOREIGN

    def rows(self, cohort: Cohort, pool: str) -> np.ndarray:
        del pool  # files were pooled as they were read
        return self.found.of(cohort.index["id"].to_list(), self.path)

    def random_rows(self, cohort: Cohort, pool: str, seed: int) -> np.ndarray | None:
        del cohort, pool, seed

    def tokens(self, cohort: Cohort, rows: np.ndarray, random_seed: int | None = None) -> Tokens | None:
        return tokens_in_files(Path(self.path), cohort, rows) if random_seed is None else None

    def unmatched(self, cohort: Cohort) -> list[str]:
        return sorted(set(self.found.ids) - set(cohort.index["id"]))


def words_of(name: str, vector: np.ndarray) -> str:
    """A scan's id and the bytes of its features."""
    return f"{name} {vector.tobytes().hex()}"
