"""`simcrop embed`: one feature vector per scan of a cohort, or for one scan, as Parquet."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from simcrop.data.guess import shown
from simcrop.data.hounsfield import Hint
from simcrop.data.layouts.folder import stem
from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.format import COHORT
from simcrop.data.store.format import JOURNAL as INGEST_JOURNAL
from simcrop.data.volume import Volume
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.features import pooled_in_passes
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import write_whole
from simcrop.metrics import effective_rank
from simcrop.model import Model, load
from simcrop.model.folder import model_folder
from simcrop.parallel.cluster import check_cluster
from simcrop.tasks.embed_batches import embed_on_ray
from simcrop.tasks.folder import check_folder, open_folder, reserved, unspoiled, write_metrics
from simcrop.tasks.rescale import parse_rescale, tell_if_unused
from simcrop.tasks.scan_vectors import Embedding, kept_vectors

TABLE, JOURNAL = "embeddings.parquet", "embeddings.vectors"


def embed(
    model: str,
    source: Path,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    ray: str | None = None,
    rescale: str | None = None,
) -> int:
    """Write `embeddings.parquet` (id, patient, split, embedding); the number of scans in it."""
    if ray is not None:
        check_cluster(ray)
    weights = model_folder(Path(model)) / "model.safetensors"
    scans = read_source(source, parse_rescale(rescale))
    settings = {
        "model": digest_of_files(weights),
        "source": str(source.resolve()),
        "scans": len(scans),
    } | ({"rescale": rescale} if rescale else {})
    check_folder(out, "embed", settings, resume, overwrite)
    network = load(model)
    with reserved(out), unspoiled(out):
        if not (open_folder(out, "embed", settings, resume, overwrite) and (out / TABLE).exists()):
            embed_all(embedding_of(model, network, scans, ray), scans, out)
    return len(scans)


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


def embedding_of(model: str, network: Model, scans: Cohort | OneScan, ray: str | None) -> Embedding:
    """One scan as it is, many in passes, here or on a cluster."""
    if isinstance(scans, OneScan):
        volume = scans.volume
        return lambda passes: ((places, network.embed(volume)[None]) for places in passes)
    if ray is None:
        return lambda passes: here(network, scans, passes)
    return lambda passes: embed_on_ray(model, scans.path, passes, ray)


def here(network: Model, cohort: Cohort, passes: list[range]) -> Iterator[tuple[range, np.ndarray]]:
    """In this process, one pass after the other."""
    studies = ([cohort[place] for place in places] for places in passes)
    for places, (_, found) in zip(passes, pooled_in_passes(network, studies), strict=True):
        yield places, found["mean"]


def embed_all(embedding: Embedding, scans: Cohort | OneScan, out: Path) -> None:
    """The table; vectors are kept while they are made, so that an interrupted run loses one pass at most."""
    started, journal = time.perf_counter(), out / JOURNAL
    table = scans.table if isinstance(scans, OneScan) else scans.index.select("id", "patient", "split")
    notes = {"notes": [shown(note) for note in scans.volume.notes]} if isinstance(scans, OneScan) else {}
    matrix = kept_vectors(embedding, table["id"].to_list(), journal, show_progress("embed"))
    write_metrics(
        out,
        {
            "scans": len(matrix),
            "features": matrix.shape[1],
            "effective_rank": effective_rank(matrix),
            "seconds_per_scan": (time.perf_counter() - started) / len(matrix),
            **notes,
        },
    )
    vectors = pl.Series("embedding", matrix, dtype=pl.Array(pl.Float32, matrix.shape[1]))
    content = io.BytesIO()
    table.with_columns(vectors).write_parquet(content)
    write_whole(out / TABLE, content.getvalue())
    journal.unlink(missing_ok=True)


def is_cohort(source: Path) -> bool:
    return (source / COHORT).is_file() or (source / INGEST_JOURNAL).is_file()
