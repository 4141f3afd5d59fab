"""The verbs `demo` and `reproduce`: methods trained and judged on cohorts with known truth."""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import Out, Overwrite, Resume, Set
from simcrop.errors import SimcropError


def demo(
    out: Out,
    seed: int = 0,
    patients: Annotated[int, typer.Option(min=10, help="To learn from; fewer are faster.")] = 600,
    controls: Annotated[
        bool, typer.Option("--controls", help="Train MAE, mispaired reports and the labels themselves, too.")
    ] = False,
    set_: Set = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """The main job end to end on a phantom cohort, ending with one HTML page. Minutes on two cores."""
    with loading():
        from simcrop.experiments.demo import demo as run

    page = run(out, seed, patients, set_, resume, overwrite, controls=controls)
    typer.echo(f"open {page}")


def reproduce(
    what: Annotated[str, typer.Argument(help="table3, natural, ceiling, scaling or segmentation.")],
    out: Out,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Of table3, natural and segmentation: how many; 3 by default.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Of table3: tiny (default) or small, for a GPU; of ceiling: small (default) or tiny."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0, help="Of scaling: hours after which no training is begun.")
    ] = None,
    real_scans: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of natural: scans into which findings are put, too."),
    ] = None,
    set_: Set = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """A study on cohorts with known truth: methods trained alike, controls beside them. An hour, or hours.

    table3: the parts of the method. natural: natural anatomies, beside ceilings. ceiling: what can be read of them with
    labels. scaling: what more patients and more scans seen are worth. segmentation: what a pre-trained encoder is worth
    where few scans are marked.
    """
    with loading():
        from simcrop.experiments.ceilings import reproduce_ceiling
        from simcrop.experiments.extension import reproduce_extension
        from simcrop.experiments.natural import reproduce_natural
        from simcrop.experiments.scaling import reproduce_scaling
        from simcrop.experiments.segmentation import reproduce_segmentation

    if what not in OPTIONS:
        raise SimcropError("bad-setting", f"cannot reproduce {what!r}: there are {', '.join(OPTIONS)}")
    given = {"--size": size, "--budget": budget, "--real-scans": real_scans, "--seeds": seeds}
    for option, value in given.items():
        if value is not None and option not in OPTIONS[what]:
            raise SimcropError("bad-setting", f"{option} is not for {what}")
    counted = range(seeds or 3)
    usual = set_ or (), typer.echo, resume, overwrite
    if what == "table3":
        reproduce_extension(out, counted, size or "tiny", *usual)
    elif what == "natural":
        reproduce_natural(out, counted, *usual, real_scans=real_scans)
    elif what == "ceiling":
        reproduce_ceiling(out, size or "small", *usual)
    elif what == "segmentation":
        reproduce_segmentation(out, counted, *usual)
    else:
        reproduce_scaling(out, 0, *usual, budget_hours=budget)
    typer.echo(f"open {out / 'report.html'}; {out / what}.md is the same as text")


# Studies, and which options each takes beside those of all.
OPTIONS = {
    "table3": ("--seeds", "--size"),
    "natural": ("--seeds", "--real-scans"),
    "ceiling": ("--size",),
    "scaling": ("--budget",),
    "segmentation": ("--seeds",),
}
