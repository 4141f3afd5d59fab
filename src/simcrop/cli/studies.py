"""The verbs `demo` and `reproduce`: methods trained and judged on cohorts with known truth."""

from typing import Annotated

import typer

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
    from simcrop.experiments.demo import demo as run

    page = run(out, seed, patients, set_, resume, overwrite, controls=controls)
    typer.echo(f"open {page}")


def reproduce(
    what: Annotated[
        str, typer.Argument(help="table3: the parts of the method, on phantoms; natural: natural anatomies.")
    ],
    out: Out,
    seeds: Annotated[int, typer.Option(min=1, help="How many; each trains every method anew.")] = 3,
    size: Annotated[
        str, typer.Option(help="Of table3: tiny, or small: 96 x 96 x 48 voxels, for a GPU.")
    ] = "tiny",
    set_: Set = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """A study on cohorts with known truth: methods trained alike, controls beside them. An hour, or hours."""
    from simcrop.experiments.natural import reproduce_natural
    from simcrop.experiments.table3 import reproduce_table3

    if what == "table3":
        reproduce_table3(out, range(seeds), size, set_ or (), typer.echo, resume, overwrite)
    elif what == "natural" and size != "tiny":
        raise SimcropError("bad-setting", "--size is for table3: natural has one size, small")
    elif what == "natural":
        reproduce_natural(out, range(seeds), set_ or (), typer.echo, resume, overwrite)
    else:
        raise SimcropError("bad-setting", f"cannot reproduce {what!r}: there are table3 and natural")
    typer.echo(f"open {out / 'report.html'}; {out / what}.md is the same as text")
