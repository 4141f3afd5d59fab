"""The verbs `demo` and `reproduce`: methods trained and judged on cohorts with known truth."""

from pathlib import Path
from typing import Annotated, Any

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import Out, Overwrite, Resume, Seed, Set
from simcrop.errors import SimcropError


def demo(
    out: Out,
    seed: Seed = 0,
    patients: Annotated[
        int,
        typer.Option(min=10, help="To learn from; an eighth as many more are tested on. Fewer are faster."),
    ] = 1000,
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
    what: Annotated[
        str,
        typer.Argument(
            help="table1, table2, table3, fig2, fig3, fig4; extension, natural, ceiling, scaling, segmentation."
        ),
    ],
    out: Out,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Of tables, figures, extension, natural and segmentation: how many; 3."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Of extension: tiny (default) or small, for a GPU; of ceiling: small (default) or tiny; of tables and "
            "figures with --data: paper (default) or tiny."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Of scaling: hours after which no training is begun. Of tables and figures without --data: minutes, "
            "which scale the steps.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Of tables and figures: a YAML file that says where each cohort lies."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Of tables and figures: print the plan, write nothing.")
    ] = False,
    slurm: Annotated[
        bool,
        typer.Option("--slurm", help="Of tables and figures: write an array script for sbatch, and stop."),
    ] = False,
    only: Annotated[
        str | None, typer.Option(metavar="ROW/SEED", help="Of tables and figures: run these jobs alone.")
    ] = None,
    real_scans: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of natural: scans into which findings are put, too."),
    ] = None,
    set_: Set = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """The paper's tables and figures, on your cohorts or on phantoms; and studies on cohorts with known truth.

    table1, table2, table3, fig2, fig3, fig4: every method trained alike, beside the paper's values; all share --out.
    extension: the parts of the method. natural: natural anatomies, beside ceilings. ceiling: what can be read of them
    with labels. scaling: what more patients and more scans seen are worth. segmentation: what a pre-trained encoder is
    worth where few scans are marked.
    """
    with loading():
        from simcrop.experiments.ceilings import reproduce_ceiling
        from simcrop.experiments.extension import reproduce_extension
        from simcrop.experiments.natural import reproduce_natural
        from simcrop.experiments.scaling import reproduce_scaling
        from simcrop.experiments.segmentation import reproduce_segmentation

    if what not in OPTIONS:
        raise SimcropError("bad-setting", f"cannot reproduce {what!r}: there are {', '.join(OPTIONS)}")
    given = {
        "--size": size,
        "--budget": budget,
        "--real-scans": real_scans,
        "--seeds": seeds,
        "--data": data,
        "--dry-run": dry_run or None,
        "--slurm": slurm or None,
        "--only": only,
    }
    for option, value in given.items():
        if value is not None and option not in OPTIONS[what]:
            raise SimcropError("bad-setting", f"{option} is not for {what}")
    if OPTIONS[what] == TABLE:
        asked = (data, seeds, budget, size, set_ or (), resume, overwrite, dry_run, slurm, only)
        reproduce_paper(what, out, *asked)
        return
    counted = range(seeds or 3)
    usual = set_ or (), typer.echo, resume, overwrite
    if what == "extension":
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


def reproduce_paper(what: str, out: Path, *asked: Any) -> None:
    """A table or figure of the paper; exit code 1 where some of its jobs failed."""
    from simcrop.experiments.tables.reproduce import TableOptions, reproduce_table

    data, seeds, budget, size, changes, resume, overwrite, dry_run, slurm, only = asked
    if size not in (None, "paper", "tiny"):
        raise SimcropError("bad-setting", f"--size {size}: expected paper or tiny")
    words = TableOptions(data, seeds, budget, size, tuple(changes), resume, overwrite, dry_run, slurm, only)
    done = reproduce_table(what, out, words, typer.echo)
    if not (dry_run or slurm or only):
        typer.echo(f"open {out / what}.html; {out / what}.md is the same as text")
    if not done:
        raise typer.Exit(1)


# Studies, and which options each takes beside those of all.
TABLE = ("--seeds", "--size", "--budget", "--data", "--dry-run", "--slurm", "--only")
OPTIONS = {
    **dict.fromkeys(("table1", "table2", "table3", "fig2", "fig3", "fig4"), TABLE),
    "extension": ("--seeds", "--size"),
    "natural": ("--seeds", "--real-scans"),
    "ceiling": ("--size",),
    "scaling": ("--budget",),
    "segmentation": ("--seeds",),
}
