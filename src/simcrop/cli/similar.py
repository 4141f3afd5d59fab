"""The verb `similar` of the command line."""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import CohortPath, ModelOrFeatures, Overwrite, Rescale


def similar(
    model: ModelOrFeatures,
    cohort: CohortPath,
    scan: Annotated[str, typer.Argument(help="The id of a study of the cohort; or a scan in a file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for table, figures and a page with reports.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Studies of other patients.")] = 10,
    pool: Annotated[str, typer.Option(help="mean or max over the patches of a scan.")] = "mean",
    other_patients: Annotated[
        bool, typer.Option("--other-patients", help="Leave the same patient out, instead of marking.")
    ] = False,
    rescale: Rescale = None,
    overwrite: Overwrite = False,
) -> None:
    """The nearest studies with their reports, by the cosine of pooled features, exactly."""
    with loading():
        from simcrop.tasks.retrieval.similar import SimilarOptions
        from simcrop.tasks.retrieval.similar import similar as run

    options = SimilarOptions(top, pool, other_patients, rescale)
    for near in run(model, cohort, scan, out, options, overwrite):
        place = "-" if near.rank is None else near.rank
        typer.echo(f"{place:>3}  {near.cosine:.4f}  {near.id}{'  same patient' if near.rank is None else ''}")
    if out is not None:
        typer.echo(f"open {out / 'report.html'}")
