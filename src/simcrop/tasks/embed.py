"""`simcrop embed`: one feature vector per scan of a cohort, or for one scan, as Parquet."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from simcrop.data.cohort import open_cohort
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.engine.progress import show_progress
from simcrop.errors import SimcropError
from simcrop.metrics import effective_rank
from simcrop.model import load, model_folder
from simcrop.tasks.folder import fingerprint, open_folder, write_metrics


@dataclass(frozen=True)
class Scan:
    """A scan to be read when its turn comes."""

    id: str
    patient: str
    split: str
    read: Callable[[], Volume]


def embed(model: str, source: Path, out: Path, resume: bool = False, overwrite: bool = False) -> int:
    """Write `embeddings.parquet` (id, patient, split, embedding); the number of scans in it."""
    scans = list_scans(source)
    network = load(model)
    settings = {
        "model": fingerprint(model_folder(Path(model)) / "model.safetensors"),
        "source": str(source),
        "scans": len(scans),
    }
    open_folder(out, "embed", settings, resume, overwrite)
    started, journal = time.perf_counter(), out / "embeddings.jsonl"
    vectors = read_vectors(journal)
    progress = show_progress("embed")
    with journal.open("w", buffering=1) as file:
        for done, scan in enumerate(scans, start=1):
            if scan.id not in vectors:
                vectors[scan.id] = network.embed(scan.read()).tolist()
            file.write(json.dumps({"id": scan.id, "embedding": vectors[scan.id]}) + "\n")
            progress(done, len(scans), "")
    matrix = np.array([vectors[scan.id] for scan in scans], dtype=np.float32)
    write_table(out / "embeddings.parquet", scans, matrix)
    write_metrics(
        out,
        {
            "scans": len(scans),
            "features": matrix.shape[1],
            "effective_rank": effective_rank(matrix),
            "seconds_per_scan": (time.perf_counter() - started) / len(scans),
        },
    )
    journal.unlink()
    return len(scans)


def list_scans(source: Path) -> list[Scan]:
    """All scans of a cohort, or the one scan at `source`."""
    if (source / "cohort.json").is_file():
        cohort = open_cohort(source)
        if len(cohort) == 0:
            raise SimcropError("no-studies", f"{source} holds no scan that was taken")
        return [Scan(study.id, study.patient, study.split, study.volume) for study in cohort]
    name = source.name.split(".")[0] or "scan"
    return [Scan(name, name, "", lambda: read_volume(source))]


def read_vectors(journal: Path) -> dict[str, list[float]]:
    """Vectors that an interrupted run had finished; a torn last line is ignored."""
    if not journal.exists():
        return {}
    vectors: dict[str, list[float]] = {}
    for line in journal.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break
        vectors[row["id"]] = row["embedding"]
    return vectors


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
    partial = path.with_suffix(".partial")
    table.write_parquet(partial)
    partial.replace(path)
