"""`simcrop similar`: the studies of a cohort that look most like a scan, with their reports, by exact search.

Axes: s scan, d features.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simcrop.data.ingest.streamed import read_resampled
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.volume_file import checksum, rounded
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError
from simcrop.evaluation.features import POOLS
from simcrop.evaluation.nearest import nearest
from simcrop.files.embeddings import bare
from simcrop.model import load
from simcrop.tasks.features.source import FeatureSource, FromModel, source_of
from simcrop.tasks.folder import check_folder, staged
from simcrop.tasks.rescale import parse_rescale, tell_if_unused
from simcrop.tasks.retrieval.similar_page import Near, Query, write_similar


@dataclass(frozen=True)
class SimilarOptions:
    """How many of the nearest, and of which vectors. `other_patients`: further scans of the query's own patient are
    left out altogether, and not only marked.
    """

    top: int = 10
    pool: str = "mean"
    other_patients: bool = False
    rescale: str | None = None


def similar(
    model: str,
    cohort_path: Path,
    scan: str,
    out: Path | None = None,
    options: SimilarOptions | None = None,
    overwrite: bool = False,
) -> list[Near]:
    """The nearest studies, nearest first; with `out` also `similar.csv`, `metrics.json` and `report.html`."""
    options = options or SimilarOptions()
    if options.pool not in POOLS:
        raise SimcropError("bad-setting", f"--pool wants {' or '.join(POOLS)}, got {options.pool!r}")
    if out is not None:
        check_folder(out, "similar", {}, overwrite=overwrite, resumable=False)
    cohort, source = open_cohort(cohort_path), source_of(model, options.pool)
    query = query_of(scan, cohort, source, options)
    vectors = source.rows(cohort, options.pool)
    near = nearest_studies(vectors, query, cohort, options)
    if out is not None:
        settings = {
            "model": source.digest,
            "cohort": cohort.digest,
            "scan": query.name,
            "top": options.top,
            "pool": options.pool,
            "other_patients": options.other_patients,
        } | ({"rescale": options.rescale} if options.rescale else {})
        spec = load(source.folder, "cpu").spec if isinstance(source, FromModel) else None
        with staged(out, "similar", settings, overwrite) as stage:
            write_similar(stage, query, near, cohort, spec, options.top)
    return near


def query_of(scan: str, cohort: Cohort, source: FeatureSource, options: SimilarOptions) -> Query:
    """A study of the cohort by its id, or a scan in a file of its own, which may be one of the cohort's as well."""
    place = {name: row for row, name in enumerate(cohort.index["id"])}
    row = place.get(scan, place.get(bare(scan)))
    if row is not None:
        if options.rescale is not None:
            raise SimcropError("bad-setting", "--rescale is for a scan in a file; those of a cohort are HU")
        return Query(cohort.index["id"][row], None, None, (row,))
    if not Path(scan).exists():
        raise SimcropError("no-scan", f"{scan}: neither a study of {cohort.path} nor a file")
    if not isinstance(source, FromModel):
        raise SimcropError(
            "bad-setting",
            "features cannot look at a scan in a file: give the id of a study of the cohort, or a model",
        )
    hint = parse_rescale(options.rescale)
    made = read_resampled(scan, cohort.spacing_mm, hint, cohort.antialias).volume
    tell_if_unused(made, hint)
    voxels = rounded(made.hu)  # as the cohort would store it, so that it is known again there
    stored = checksum(voxels)
    same = [row for row, known in enumerate(cohort.index["checksum"]) if known == stored]
    volume = Volume(voxels.astype(np.float32), made.affine, made.decision)
    vector = load(source.folder).embed(volume, "max" if options.pool == "max" else "mean")
    return Query(stored, vector, voxels, tuple(same))


def nearest_studies(vectors: np.ndarray, query: Query, cohort: Cohort, options: SimilarOptions) -> list[Near]:
    """The first `top` of other patients; further scans of the query's own patient stand among them, marked and without
    a rank. The query itself is left out.
    """
    patients = cohort.index["patient"].to_list()
    own = {patients[row] for row in query.rows} - {""}
    vector = vectors[query.rows[0]] if query.vector is None else query.vector
    near: list[Near] = []
    rank = 0
    for row, cosine in zip(*nearest(vectors, vector, len(vectors)), strict=True):
        same = patients[row] in own
        if row in query.rows or (same and options.other_patients):
            continue
        if rank == options.top:
            break
        rank += not same
        near.append(Near(int(row), cohort.index["id"][int(row)], float(cosine), None if same else rank))
    if not near:
        raise SimcropError("no-studies", f"{cohort.path} holds no other study to compare it with")
    return near
