"""The verb `plan`: what a cohort and its GPUs come to, before anything is begun."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import Set


def plan(
    scans: Annotated[int, typer.Option(help="To pre-train on.")],
    gpus: Annotated[str, typer.Option(metavar="KxKIND", help="Such as 8xh200.")],
    recipe: Annotated[str, typer.Option(help="A shipped recipe or a YAML file.")] = "simcrop-paper",
    epochs: Annotated[int | None, typer.Option(help="Those of the recipe when not given.")] = None,
    set_: Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """Hours, bytes and data rates of ingest, pre-training and the paper's tables, and which part breaks first."""
    with loading():
        from simcrop.experiments.scale.plan import plan_of
        from simcrop.experiments.scale.request import request_of
        from simcrop.experiments.scale.words import words_of

    found = plan_of(request_of(scans, gpus, recipe, epochs, set_ or []))
    typer.echo(json.dumps(asdict(found), indent=1) if as_json else "\n".join(words_of(found)))
