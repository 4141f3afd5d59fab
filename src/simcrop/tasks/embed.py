"""`simcrop embed`: one feature vector per scan of a cohort, or for one scan, as Parquet."""

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.data.layouts.folder import stem
from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import open_cohort
from simcrop.data.store.format import COHORT, JOURNAL
from simcrop.data.volume import Volume
from simcrop.engine.progress import Pace, show_progress
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.lines import as_line, cut_torn_end
from simcrop.files.whole import write_whole, writing
from simcrop.metrics import effective_rank
from simcrop.model import Model, load
from simcrop.model.folder import model_folder
from simcrop.parallel.cluster import check_cluster
from simcrop.tasks.folder import check_folder, open_folder, reserved, unspoiled, write_metrics

TABLE = "embeddings.parquet"


@dataclass(frozen=True)
class Scan:
    """A scan to be read when its turn comes."""

    id: str
    patient: str
    split: str
    read: Callable[[], Volume]


# Ids and vectors of some scans, in any order.
Embedding = Callable[[list[Scan]], Iterable[tuple[str, list[float]]]]


def embed(
    model: str,
    source: Path,
    out: Path,
    resume: bool = False,
    overwrite: bool = False,
    ray: str | None = None,
) -> int:
    """Write `embeddings.parquet` (id, patient, split, embedding); the number of scans in it."""
    if ray is not None:
        check_cluster(ray)
    weights = model_folder(Path(model)) / "model.safetensors"
    scans = list_scans(source)
    settings = {
        "model": digest_of_files(weights),
        "source": str(source.resolve()),
        "scans": len(scans),
    }
    check_folder(out, "embed", settings, resume, overwrite)
    network = load(model)
    with reserved(out), unspoiled(out):
        if not (open_folder(out, "embed", settings, resume, overwrite) and (out / TABLE).exists()):
            embedding = on_ray(model, source, scans, ray) if ray and is_cohort(source) else here(network)
            embed_all(embedding, scans, out)
    return len(scans)


def here(network: Model) -> Embedding:
    """In this process, one after the other."""
    return lambda scans: ((scan.id, network.embed(scan.read()).tolist()) for scan in scans)


def on_ray(model: str, cohort: Path, scans: list[Scan], address: str) -> Embedding:
    """On a cluster, in batches."""
    from simcrop.tasks.embed_batches import embed_on_ray

    places = {scan.id: place for place, scan in enumerate(scans)}
    return lambda scans: embed_on_ray(model, cohort, [places[scan.id] for scan in scans], address)


def embed_all(embedding: Embedding, scans: list[Scan], out: Path) -> None:
    """The table, with a journal while it is in the making so that an interrupted run loses one scan at most."""
    started, journal = time.perf_counter(), out / "embeddings.jsonl"
    with writing(journal):
        vectors = read_vectors(journal)
    to_do = [scan for scan in scans if scan.id not in vectors]
    progress, pace = show_progress("embed"), Pace("scans")
    for done, (id, vector) in enumerate(embedding(to_do), len(scans) - len(to_do) + 1):
        vectors[id] = vector
        append(journal, {"id": id, "embedding": vector})
        progress(done, len(scans), pace(done, len(scans)))
    matrix = np.array([vectors[scan.id] for scan in scans], dtype=np.float32)
    write_metrics(
        out,
        {
            "scans": len(scans),
            "features": matrix.shape[1],
            "effective_rank": effective_rank(matrix),
            "seconds_per_scan": (time.perf_counter() - started) / len(scans),
        },
    )
    write_table(out / TABLE, scans, matrix)
    journal.unlink(missing_ok=True)


def is_cohort(source: Path) -> bool:
    return (source / COHORT).is_file() or (source / JOURNAL).is_file()


def list_scans(source: Path) -> list[Scan]:
    """All scans of a cohort, or the one scan at `source`."""
    if is_cohort(source):
        cohort = open_cohort(source)
        if len(cohort) == 0:
            raise SimcropError("no-studies", f"{source} holds no scan that was taken")
        return [Scan(study.id, study.patient, study.split, study.volume) for study in cohort]
    try:
        volume = read_volume(source)
    except SimcropError as error:
        hint = "; many scans become a cohort first, by `simcrop ingest`" if error.reason == "no-scan" else ""
        raise SimcropError(error.reason, error.sentence + hint) from error
    name = stem(source.resolve().name)
    return [Scan(name, name, "", lambda: volume)]


def read_vectors(journal: Path) -> dict[str, list[float]]:
    """Vectors that an interrupted run had finished; a torn last line is cut off."""
    return {row["id"]: row["embedding"] for row in cut_torn_end(journal)}


def append(journal: Path, row: dict[str, Any]) -> None:
    """One scan is finished."""
    with writing(journal), journal.open("ab") as file:
        file.write(as_line(row))


def write_table(path: Path, scans: list[Scan], matrix: np.ndarray) -> None:
    """One row per scan; whole or not at all."""
    table = pl.DataFrame(
        {
            "id": [scan.id for scan in scans],
            "patient": [scan.patient for scan in scans],
            "split": [scan.split for scan in scans],
            "embedding": pl.Series(matrix, dtype=pl.Array(pl.Float32, matrix.shape[1])),
        }
    )
    content = io.BytesIO()
    table.write_parquet(content)
    write_whole(path, content.getvalue())
