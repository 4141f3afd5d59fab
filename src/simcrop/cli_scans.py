"""The verbs `ingest` and `embed` of the command line, which go over many scans, on one machine or on many."""

from pathlib import Path
from typing import Annotated

import typer

Resume = Annotated[bool, typer.Option("--resume", help="Continue what an earlier run left unfinished.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run of this verb.")]


def ingest(
    source: Annotated[Path, typer.Argument(help="A data set's root, a folder of scans, or one scan.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the cohort.")],
    layout: Annotated[
        str, typer.Option(help="Of the source: ct-rate, rad-chestct, cc-ccii, luna16, btcv or folder.")
    ] = "folder",
    workers: Annotated[int, typer.Option(min=1, help="Processes; the result is the same.")] = 1,
    spacing: Annotated[str, typer.Option(help="Grid of the store in mm: x,y,z.")] = "1.5,1.5,3",
    antialias: Annotated[
        bool, typer.Option("--antialias", help="Average where voxels grow, instead of skipping slices.")
    ] = False,
    codec: Annotated[
        str, typer.Option(help="Of the stored volumes: lz4, or raw, twice as large and faster to read.")
    ] = "lz4",
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Raw scans and reports into a cohort store. Interrupted, the same command continues."""
    from simcrop.tasks.ingest import ingest as run

    result = run(source, layout, out, workers, spacing, resume, overwrite, antialias, codec)
    nothing = "" if result.taken else "nothing could be taken: "
    typer.echo(f"{nothing}{result.taken} taken, {result.refused} refused: {out / 'ledger.parquet'}")
    raise typer.Exit(1 if result.refused else 0)


def embed(
    model: Annotated[str, typer.Argument(help="Model folder, run folder or hf:// id.")],
    source: Annotated[Path, typer.Argument(metavar="COHORT_OR_CT")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """One feature vector per scan: embeddings.parquet."""
    from simcrop.tasks.embed import embed as run

    count = run(model, source, out, resume, overwrite)
    typer.echo(f"{count} scans in {out / 'embeddings.parquet'}")
