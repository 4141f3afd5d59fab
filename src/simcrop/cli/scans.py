"""The verbs `ingest` and `embed` of the command line, which go over many scans, on one machine or on many."""

from pathlib import Path
from typing import Annotated, Any

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import ModelPath, Overwrite, Rescale, Resume
from simcrop.errors import SimcropError
from simcrop.stderr import write_line

Ray = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Of a Ray cluster to do the work: auto or host:port.")
]


def out_or_merge(context: Any, out: Path | None) -> Path | None:
    """Only `--merge COHORT` does without `--out`. Typer passes a context of its own, which it does not export."""
    if out is None and not context.params.get("merge"):
        raise typer.BadParameter("missing; it is the folder for the cohort")
    return out


def ingest(
    source: Annotated[Path, typer.Argument(help="A data set's root, a folder of scans, or one scan.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the cohort.", callback=out_or_merge)
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            help="Of the source: ct-rate, rad-chestct, cc-ccii, luna16, btcv, decathlon, rexgrounding; else folder, "
            "also called dicom."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the result is the same.")] = 1,
    spacing: Annotated[str, typer.Option(help="Grid of the store in mm: x,y,z.")] = "1.5,1.5,3",
    antialias: Annotated[
        bool, typer.Option("--antialias", help="Average where voxels grow, instead of skipping slices.")
    ] = False,
    codec: Annotated[
        str, typer.Option(help="Of the stored volumes: lz4, or raw, twice as large and faster to read.")
    ] = "lz4",
    reports: Annotated[
        Path | None, typer.Option(help="A table of reports, or a folder of texts, for the layout folder.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of --reports: the column that names the scan.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="released or own; the data set's own where it is sound.")
    ] = None,
    rescale: Rescale = None,
    pseudonymise: Annotated[
        bool, typer.Option("--pseudonymise", help="Ids and patients as hashes, no path in the cohort.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="One share of N, for job arrays; then --merge.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", is_eager=True, help="Join shards: simcrop ingest --merge COHORT.")
    ] = False,
    ray: Ray = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove what is stored of scans that the source no longer holds."),
    ] = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Raw scans and reports into a cohort store. Interrupted, the same command continues."""
    with loading():
        from simcrop.tasks.cohorts.ingest import IngestOptions, ingest_as, merge_shards
        from simcrop.tasks.cohorts.ingested import lines_of

    del resume  # state is kept per scan: the same command always continues
    options = IngestOptions(layout, spacing, antialias, codec, pseudonymise, reports, key, split, rescale)
    if prune and (merge or shard):
        raise SimcropError(
            "bad-setting", "--prune: merge first, then ingest the whole cohort again with --prune"
        )
    if merge:
        result = merge_shards(out or source, source if out else None, options)
    else:
        assert out is not None
        result = ingest_as(source, out, options, workers, overwrite, shard, ray, prune)
    count, lines = lines_of(result, out or source, shard is not None, not pseudonymise, prune)
    typer.echo(count)
    for line in lines:
        write_line(line)
    raise typer.Exit(1 if result.refused else 0)


def embed(
    model: ModelPath,
    source: Annotated[
        Path, typer.Argument(metavar="COHORT_OR_CT", help="A cohort, or a scan in a file or folder.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="parquet, one table; h5, npz or npy, a file per scan. By default parquet, with --tokens h5.",
        ),
    ] = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Every patch with its centre in mm; h5 or npz.")
    ] = False,
    rescale: Rescale = None,
    ray: Ray = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """One feature vector per scan, as a table or as others store them; or all patch tokens."""
    with loading():
        from simcrop.tasks.features.embed import embed as run

    done = run(model, source, out, resume, overwrite, ray, rescale, form, tokens)
    typer.echo(f"{done.scans} scan{'' if done.scans == 1 else 's'} in {done.where}")
    if done.refused:
        write_line(f"{done.refused} scans refused: {out / 'metrics.json'} says of each why")
    raise typer.Exit(1 if done.refused else 0)
