"""The verb `ground` of the command line: where sentences are seen, in one scan or in many."""

from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import ModelPath, Out, Overwrite, Rescale, Resume
from simcrop.stderr import write_line


def ground(
    model: ModelPath,
    ct: Annotated[
        Path, typer.Argument(metavar="CT_OR_FOLDER", help="NIfTI, DICOM folder or zip, MHD, NRRD, NPZ; many.")
    ],
    out: Out,
    sentence: Annotated[
        list[str] | None, typer.Option("--sentence", help="May be given several times.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="A text file, every Findings sentence is used; of many scans a table or folder."),
    ] = None,
    jobs: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Columns scan and sentence: a line per pair.")
    ] = None,
    top_k: Annotated[
        str | None,
        typer.Option(
            metavar="K|auto",
            help="Patches to box; auto: by stated size. By default, of SimCroP, align.top_k / (1 - mim.mask_ratio), "
            "256 at the paper's size; of other methods a tenth.",
        ),
    ] = None,
    fine: Annotated[
        int, typer.Option(metavar="1|8|64", help="Shifted looks that are averaged on a finer grid.")
    ] = 1,
    whole: Annotated[
        bool, typer.Option("--whole", help="All of a scan larger than the input, in overlapping crops.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=1,
            help="Similarity from which a voxel is of a DICOM region; the last box's by default.",
        ),
    ] = None,
    rescale: Rescale = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Where a sentence is seen: heat map on the scan's own grid, picture, boxes in mm; DICOM for DICOM."""
    k = boxes(top_k)
    with loading():
        from simcrop.tasks.grounding.listed import asks_many

    if asks_many(ct, report, jobs, out):
        from simcrop.tasks.grounding.ground_options import GroundOptions
        from simcrop.tasks.grounding.jobs import ground_many

        asked = GroundOptions(k, fine, whole, threshold)
        tell(ground_many(model, ct, sentence or [], report, jobs, out, asked, resume, overwrite, rescale))
    from simcrop.tasks.grounding.ground import ground as run

    done = run(model, ct, sentence or [], report, out, k, overwrite, rescale, fine, whole, threshold)
    for note in done.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"open {done.page}")


def boxes(top_k: str | None) -> int | Literal["auto"] | None:
    """A number from 1 on, or `auto`."""
    if top_k is None:
        return None
    if top_k == "auto":
        return "auto"
    if not top_k.isdecimal() or int(top_k) < 1:
        raise typer.BadParameter(f"--top-k wants a whole number from 1 on or auto, got {top_k!r}")
    return int(top_k)


def tell(done: Any) -> NoReturn:
    """What became of many scans; ends the command."""
    for note in done.notes:
        typer.echo(f"note: {note}")
    for one in done.refused:
        write_line(f"refused: {one.sentence}")
    typer.echo(f"{done.sentences} sentences in {done.scans} scans; open {done.page}")
    raise typer.Exit(1 if done.refused else 0)
