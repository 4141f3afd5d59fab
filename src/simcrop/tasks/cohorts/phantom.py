"""`simcrop phantom`: a cohort with known truth, synthetic in a data set's raw layout or inserted into real scans."""

from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.phantom.cohort import check_request, write_cohort
from simcrop.phantom.layouts.tree import Request
from simcrop.tasks.folder import open_folder, unspoiled, write_metrics

LAYOUT, SIZE, PATIENTS = "ct-rate", "tiny", 16


def phantom(
    out: Path,
    layout: str | None,
    patients: int | None,
    seed: int,
    size: str | None,
    release: str = "v2",
    overwrite: bool = False,
    difficulty: str = "real",
    workers: int = 1,
    organs: bool = False,
) -> int:
    """Write the cohort; the number of volumes. The same call continues one that was interrupted."""
    patients = PATIENTS if patients is None else patients
    request = Request(layout or LAYOUT, patients, seed, size or SIZE, difficulty, release, organs)
    check_request(request)
    with unspoiled(out):
        open_folder(out, "phantom", request.facts, resume=not overwrite, overwrite=overwrite)
        count = write_cohort(out, request, workers)
    write_metrics(out, {"patients": patients, "volumes": count})
    return count


def phantom_in_real_scans(
    out: Path,
    background: Path,
    patients: int | None,
    seed: int,
    layout: str | None = None,
    size: str | None = None,
    overwrite: bool = False,
    difficulty: str = "real",
    workers: int = 1,
) -> tuple[int, tuple[str, ...]]:
    """Findings inserted into the scans below `background`: how many were written, and why which were not."""
    from simcrop.phantom.real.background import write_background

    if layout not in (None, "folder") or size is not None:
        raise SimcropError(
            "bad-setting",
            "--background keeps each scan's own grid and writes the layout folder: leave --layout and --size out",
        )
    settings = {
        "background": str(background.resolve()),
        "patients": patients,
        "seed": seed,
        "difficulty": difficulty,
    }
    with unspoiled(out):
        open_folder(out, "phantom", settings, resume=not overwrite, overwrite=overwrite)
        done = write_background(out, background, patients, seed, difficulty, workers)
    write_metrics(out, {"volumes": done.volumes, "refused": len(done.refused)})
    return done.volumes, done.refused
