"""The verb `doctor`: what this machine has, what it lacks, and what mends it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading


def doctor(
    at: Annotated[
        Path, typer.Option("--at", help="Where run folders would be: is there room, do files stay whole?")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """What this machine has for a run, what it lacks, and the command that mends it. Exit code 1: no run possible."""
    with loading():
        from simcrop.tasks.doctor import as_text, as_tree, examine, possible

        findings = examine(at)
    typer.echo(json.dumps(as_tree(findings), indent=1) if as_json else "\n".join(as_text(findings)))
    raise typer.Exit(0 if possible(findings) else 1)
