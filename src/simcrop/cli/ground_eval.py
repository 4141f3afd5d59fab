"""The verb `ground-eval`: how well sentences find what they name."""

from pathlib import Path
from typing import Annotated, Any

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import CohortPath, ModelPath, Out, Overwrite, Resume, Seed, Truth
from simcrop.stderr import write_line


def ground_eval(
    model: ModelPath,
    cohort: CohortPath,
    out: Out,
    split: Annotated[str, typer.Option(help="Split to judge by.")] = "valid",
    train: Annotated[
        str, typer.Option(help="Split that the usual map of each finding is taken from.")
    ] = "train",
    train_cohort: Annotated[
        Path | None,
        typer.Option(metavar="COHORT", help="Cohort of --train and --choose; the judged one when not given."),
    ] = None,
    choose: Annotated[
        str | None,
        typer.Option(metavar="SPLIT", help="Split that the threshold of IoU and Dice is chosen on."),
    ] = None,
    truth: Truth = None,
    sentences: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or JSON of one's own: scan, sentence, value in its mask or level_mm; finding, side.",
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Patches per sentence; by default, of SimCroP, align.top_k / (1 - mim.mask_ratio), 256 at the paper's "
            "size; of other methods a tenth.",
        ),
    ] = None,
    seed: Seed = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Do sentences find what they name? Their maps against masks, beside chance, the usual map and a random encoder."""
    with loading():
        from simcrop.tasks.grounding.ground_eval import GroundEvalOptions
        from simcrop.tasks.grounding.ground_eval import ground_eval as run

    options = GroundEvalOptions(split, train, choose, truth, sentences, top_k, seed, train_cohort)
    found = run(model, cohort, out, options, resume, overwrite)
    for line in lines_of(found):
        typer.echo(line)
    typer.echo(f"open {out / 'report.html'}")
    if found["rows_of_no_scan"]:
        write_line(
            f"{found['rows_of_no_scan']} rows of {sentences} are about scans that are not in the cohort"
        )
    if found["refused"]:
        write_line(f"{len(found['refused'])} scans refused: {out / 'metrics.json'} says of each why")
    raise typer.Exit(1 if found["refused"] else 0)


def lines_of(found: dict[str, Any]) -> list[str]:
    """What is read first."""
    every, says = found["all"], found["says_nothing"]
    lines = []
    if "hit" in every and every["hit"]["own"] is not None:
        hit = every["hit"]
        others = ", ".join(
            f"{who} {hit[who]:.3f}"
            for who in ("swapped", "prior", "random", "chance")
            if hit[who] is not None
        )
        lines.append(
            f"pointing hits {hit['own']:.3f}, 95 % interval {hit['own_low']:.3f} to {hit['own_high']:.3f}, of "
            f"{every['sentences']} sentences; {others}"
        )
    if (dice := every["dice"])["own"] is not None:
        lines.append(
            f"Dice {dice['own']:.3f}, chance {dice['chance']:.3f}, threshold chosen on {found['choose']!r}"
        )
    if (depth := every["depth_mm"])["own"] is not None:
        lines.append(f"depth error {depth['own']:.0f} mm, chance {depth['chance']:.0f} mm")
    if says["auroc_all"] is not None:
        lines.append(f"says-nothing AUROC {says['auroc_all']:.3f}")
    return lines
