"""The verb `ground-rex` of the command line: ReXGroundingCT's sentences found in their scans."""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import Overwrite, Resume
from simcrop.stderr import write_line

SHOWN = ("dice_per_case", "dice_per_finding", "hit_rate", "instance_f1", "distance_f1")


def ground_rex(
    model: Annotated[str | None, typer.Argument(help="Model folder, run folder or hf:// id.")] = None,
    cohort: Annotated[
        Path | None,
        typer.Argument(help="Of simcrop ingest --layout rexgrounding; with --check it may stand alone."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results.")] = None,
    develop: Annotated[str, typer.Option(help="Split that the threshold is chosen on.")] = "valid",
    split: Annotated[
        str, typer.Option(help="Split to be masked, and scored where its masks are known.")
    ] = "test",
    check: Annotated[
        Path | None, typer.Option("--check", metavar="ZIP", help="Check a submission and do nothing else.")
    ] = None,
    scans: Annotated[
        int | None, typer.Option(min=1, help="With --check: files it must hold; the cohort's, else 300.")
    ] = None,
    fine: Annotated[
        int,
        typer.Option(metavar="1|8|64", help="Looks that are averaged: 8 halve the patches, 64 quarter them."),
    ] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the patients drawn for intervals, and of what is beside.")
    ] = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Masks for the sentences of ReXGroundingCT, its metrics, and the submission as one zip."""
    if check is None and (model is None or cohort is None or out is None):
        raise typer.BadParameter("needs MODEL COHORT --out DIR, or --check ZIP")
    if check is not None and model is not None and cohort is not None:
        raise typer.BadParameter("--check ZIP needs no model: simcrop ground-rex COHORT --check ZIP")
    with loading():
        from simcrop.tasks.grounding.ground_rex import check_submission, told
        from simcrop.tasks.grounding.ground_rex import ground_rex as run

    if check is not None:
        sound = check_submission(check, Path(model) if model else None, split, scans)
        typer.echo(f"sound: {sound.scans} scans, {sound.findings} findings, {sound.voxels} voxels")
        return
    assert model is not None and cohort is not None and out is not None  # noqa: PT018
    done = run(model, cohort, out, develop, split, seed, resume, overwrite, fine)
    for one in done.refused:
        write_line(f"refused: {one.sentence}")
    for line in told(done.metrics, SHOWN):
        typer.echo(line)
    typer.echo(f"{done.scans} scans in {done.zip}")
    typer.echo(f"open {done.page}")
    raise typer.Exit(1 if done.refused else 0)
