"""`simcrop phantom`: a synthetic cohort with known truth, in a data set's raw layout."""

from dataclasses import asdict
from pathlib import Path

from simcrop.data.phantom.cohort import check_request, write_cohort
from simcrop.data.phantom.tree import Request
from simcrop.tasks.folder import open_folder, unspoiled, write_metrics


def phantom(
    out: Path,
    layout: str,
    patients: int,
    seed: int,
    size: str,
    release: str = "v2",
    overwrite: bool = False,
    difficulty: str = "real",
    workers: int = 1,
) -> int:
    """Write the cohort; the number of volumes. The same call continues one that was interrupted."""
    request = Request(layout, patients, seed, size, difficulty, release)
    check_request(request)
    with unspoiled(out):
        open_folder(out, "phantom", asdict(request), resume=not overwrite, overwrite=overwrite)
        count = write_cohort(out, request, workers)
    write_metrics(out, {"patients": patients, "volumes": count})
    return count
