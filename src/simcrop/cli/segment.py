"""The verb `segment` of the command line."""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import INTERRUPTED, Out, Overwrite, Resume, Set
from simcrop.stderr import write_line


def segment(
    cohort: Annotated[Path, typer.Argument(help="A cohort whose scans have masks.")],
    out: Out,
    recipe: Annotated[str, typer.Option(help="A shipped recipe or a YAML file.")] = "segment-modern",
    folds: Annotated[
        int | None, typer.Option(min=2, help="Cross-validation by patient, instead of the cohort's split.")
    ] = None,
    tolerance_mm: Annotated[
        float, typer.Option(min=0, help="How far apart surfaces may lie to count as one, for surface Dice.")
    ] = 2.0,
    set_: Set = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Learn to mark organs from masks, and judge it on scans held out. Many processes: torchrun -m simcrop segment"""
    with loading():
        from simcrop.config import load_recipe
        from simcrop.tasks.segmentation.folds import segment_folds
        from simcrop.tasks.segmentation.segment import SegmentOptions
        from simcrop.tasks.segmentation.segment import segment as run

    settings, options = load_recipe(recipe, set_), SegmentOptions(tolerance_mm)
    if folds is None:
        fitted = run(cohort, settings, out, options, resume, overwrite)
    else:
        fitted = segment_folds(cohort, settings, out, folds, options, resume, overwrite)
    if not fitted.finished:
        write_line(f"stopped after step {fitted.steps}")
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"open {out / 'report.html'}")
