"""The verb `segment-predict` of the command line: a mask for any scan."""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import Out, Overwrite, Rescale, Resume
from simcrop.stderr import write_line


def segment_predict(
    model: Annotated[str, typer.Argument(metavar="SEG", help="Run or model folder of simcrop segment.")],
    source: Annotated[Path, typer.Argument(metavar="SCAN_OR_FOLDER", help="A scan, or a folder of any.")],
    out: Out,
    rescale: Rescale = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Masks on each scan's own grid: NIfTI, for DICOM also DICOM SEG; volumes in ml."""
    with loading():
        from simcrop.tasks.segmentation.segment_predict import segment_predict as run

    done = run(model, source, out, resume, overwrite, rescale)
    for note in done.notes:
        typer.echo(f"note: {note}")
    for one in done.refused:
        write_line(f"refused: {one.sentence}")
    typer.echo(f"{done.scans} masks in {out / 'masks'}; open {done.page}")
    raise typer.Exit(1 if done.refused else 0)
