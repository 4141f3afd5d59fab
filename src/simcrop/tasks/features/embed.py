"""`simcrop embed`: one feature vector per scan of a cohort, or for one scan, as Parquet or as others store them; or the
tokens of all patches. Axes: s scan, d features.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.data.hounsfield import Hint
from simcrop.data.layouts.folder import stem
from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.format import COHORT, STUDIES
from simcrop.data.store.format import JOURNAL as INGEST_JOURNAL
from simcrop.data.volume import Volume
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.embedding_files import check_format, file_of, write_vector
from simcrop.files.embeddings import TABLE
from simcrop.files.tables import write_parquet
from simcrop.files.whole import read_json, remove_temporary
from simcrop.metrics import effective_rank
from simcrop.model import Model, load
from simcrop.model.folder import model_folder
from simcrop.parallel.cluster import check_cluster
from simcrop.stderr import write_line
from simcrop.tasks.features.cohort_features import model_digest
from simcrop.tasks.features.embed_batches import embed_on_ray
from simcrop.tasks.features.embed_passes import no_numbers, refusals, vectors_in_passes
from simcrop.tasks.features.embed_tokens import write_tokens_of_all, write_tokens_of_one
from simcrop.tasks.features.scan_vectors import Embedding, kept_vectors
from simcrop.tasks.folder import METRICS, check_folder, open_folder, reserved, unspoiled, write_metrics
from simcrop.tasks.resampled import resampled_words
from simcrop.tasks.rescale import parse_rescale, tell_if_unused
from simcrop.tasks.scan_notes import notes_of

JOURNAL = "embeddings.vectors"


@dataclass(frozen=True)
class Embedded:
    """How many scans are there, how many were refused, and where they lie."""

    scans: int
    refused: int
    where: Path


def embed(
    model: str,
    source: Path,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    ray: str | None = None,
    rescale: str | None = None,
    form: str | None = None,
    tokens: bool = False,
) -> Embedded:
    """Write `embeddings.parquet` (id, patient, split, embedding), or a file per scan as `form` says; with `tokens` the
    features of every patch.
    """
    form = form or ("h5" if tokens else "parquet")
    check_format(form, tokens)
    if ray is not None:
        if tokens:
            raise SimcropError("bad-setting", "--tokens is done on one machine, without --ray")
        check_cluster(ray)
    model = str(model_folder(Path(model)))
    scans = read_source(source, parse_rescale(rescale))
    settings = {
        "model": model_digest(Path(model)),
        "source": str(source.resolve()),
        "scans": len(scans),
    } | ({"rescale": rescale} if rescale else {})
    if isinstance(scans, Cohort):
        settings["cohort"] = digest_of_files(source / STUDIES)
    settings |= {"format": form, "tokens": tokens} if form != "parquet" else {}
    check_folder(out, "embed", settings, resume, overwrite)
    network = load(model)
    if isinstance(scans, Cohort) and (words := resampled_words(scans, network.recipe.input.spec)):
        write_line(f"embed: {words}")
    with reserved(out), unspoiled(out):
        if not (open_folder(out, "embed", settings, resume, overwrite) and (out / METRICS).exists()):
            remove_temporary(out)
            work = Work(model, network, scans, out, form, ray)
            write_metrics(out, embed_tokens(work) if tokens else embed_vectors(work))
        (out / JOURNAL).unlink(missing_ok=True)
    refused = read_json(out / METRICS).get("refused", [])
    where = out / TABLE if form == "parquet" else out
    return Embedded(len(scans) - len(refused), len(refused), where)


@dataclass(frozen=True, eq=False)
class OneScan:
    """A scan in a file of its own."""

    id: str
    volume: Volume

    def __len__(self) -> int:
        return 1

    @property
    def table(self) -> pl.DataFrame:
        return pl.DataFrame({"id": [self.id], "patient": [self.id], "split": [""]})


def read_source(source: Path, hint: Hint | None = None) -> Cohort | OneScan:
    """All scans of a cohort, or the one scan at `source`."""
    if is_cohort(source):
        if hint is not None:
            raise SimcropError(
                "bad-setting", f"{source} is a cohort, whose scans are HU: --rescale is for `simcrop ingest`"
            )
        cohort = open_cohort(source)
        if len(cohort) == 0:
            raise SimcropError("no-studies", f"{source} holds no scan that was taken")
        return cohort
    try:
        volume = read_volume(source, hint)
        tell_if_unused(volume, hint)
        return OneScan(stem(source.resolve().name), volume)
    except SimcropError as error:
        advice = (
            "; many scans become a cohort first, by `simcrop ingest`" if error.reason == "no-scan" else ""
        )
        raise SimcropError(error.reason, error.sentence + advice) from error


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be embedded by whom, and where it goes in which format."""

    model: str
    network: Model
    scans: Cohort | OneScan
    out: Path
    form: str
    ray: str | None


def embedding_of(work: Work) -> Embedding:
    """One scan as it is, many in passes, here or on a cluster."""
    network, scans, ray = work.network, work.scans, work.ray
    if isinstance(scans, OneScan):
        volume = scans.volume
        return lambda passes: ((places, network.embed(volume)[None]) for places in passes)
    if ray is None:
        return lambda passes: here(network, scans, passes)
    return lambda passes: embed_on_ray(work.model, scans.path, passes, ray)


def here(network: Model, cohort: Cohort, passes: list[range]) -> Iterator[tuple[range, np.ndarray]]:
    """In this process, one pass after the other."""
    studies = ([cohort[place] for place in places] for places in passes)
    yield from zip(passes, vectors_in_passes(network, studies), strict=True)


def embed_vectors(work: Work) -> dict[str, Any]:
    """The table or files, and the figures; vectors are kept while they are made, so that an interrupted run loses one
    pass at most.
    """
    started, scans = time.perf_counter(), work.scans
    table = scans.table if isinstance(scans, OneScan) else scans.index.select("id", "patient", "split")
    matrix = kept_vectors(
        embedding_of(work), table["id"].to_list(), work.out / JOURNAL, show_progress("embed")
    )
    sound = np.asarray(np.isfinite(matrix).all(1))
    refused = refused_of(work, np.flatnonzero(~sound).tolist(), len(matrix))
    table, matrix = table.filter(pl.Series(sound)), matrix[sound]
    if work.form == "parquet":
        write_table(work.out / TABLE, table, matrix)
    else:
        for name, vector in zip(table["id"], matrix, strict=True):
            write_vector(file_of(work.out, name, work.form), vector)
    facts = {
        "scans": len(matrix),
        "features": matrix.shape[1],
        "effective_rank": effective_rank(matrix),
        "seconds_per_scan": (time.perf_counter() - started) / len(matrix),
    }
    return facts | noted(scans) | refused


def embed_tokens(work: Work) -> dict[str, Any]:
    """A file of patch tokens per scan, and the figures."""
    started, scans, network = time.perf_counter(), work.scans, work.network
    unread: list[int] = []
    if isinstance(scans, OneScan):
        write_tokens_of_one(network, scans.id, scans.volume, work.out, work.form)
    else:
        unread = write_tokens_of_all(network, scans, work.out, work.form)
    facts = {
        "scans": len(scans) - len(unread),
        "features": network.recipe.vision.dim,
        "tokens": network.grid.count,
        "seconds_per_scan": (time.perf_counter() - started) / len(scans),
    }
    return facts | noted(scans) | refused_of(work, unread, len(scans))


def refused_of(work: Work, rows: list[int], count: int) -> dict[str, Any]:
    """Which scans could not be read and why; raises SimcropError where that is true of all."""
    if not rows:
        return {}
    if isinstance(work.scans, OneScan):
        (work.out / JOURNAL).unlink(missing_ok=True)
        raise no_numbers()
    found = refusals(work.network, work.scans, rows)
    if len(rows) == count:
        (work.out / JOURNAL).unlink(missing_ok=True)
        raise SimcropError(
            found[0]["reason"],
            f"{work.scans.path}: none of its {count} scans can be read; of the first: {found[0]['sentence']}",
        )
    return {"refused": found}


def noted(scans: Cohort | OneScan) -> dict[str, Any]:
    """What the reader noted of a single scan."""
    return {"notes": notes_of(scans.volume)} if isinstance(scans, OneScan) else {}


def write_table(path: Path, table: pl.DataFrame, matrix: np.ndarray) -> None:
    """Whole or not at all."""
    vectors = pl.Series("embedding", matrix, dtype=pl.Array(pl.Float32, matrix.shape[1]))
    write_parquet(path, table.with_columns(vectors))


def is_cohort(source: Path) -> bool:
    return (source / COHORT).is_file() or (source / INGEST_JOURNAL).is_file()
