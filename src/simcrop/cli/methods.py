"""The verb `methods`: what can be trained, beside what it costs."""

import json
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.errors import SimcropError

SIZES = "paper", "tiny"


def methods(
    size: Annotated[str, typer.Option(help="Of the shipped recipes: paper or tiny.")] = "paper",
    as_json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """What each method hides, contrasts, reads and needs, and what a training step of it costs."""
    if size not in SIZES:
        raise SimcropError("bad-setting", f"--size {size}: expected {' or '.join(SIZES)}")
    with loading():
        from simcrop.tasks.training.methods import as_text, described

        rows = described(size)
    typer.echo(json.dumps([row.as_tree for row in rows], indent=1) if as_json else as_text(rows))
