"""The verb `view` of the command line: scans, reports and heat maps on a local web page."""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.errors import SimcropError


def view(
    place: Annotated[Path, typer.Argument(help="A cohort, a run of pretrain, a scan, or a folder of scans.")],
    model: Annotated[
        str | None, typer.Option(help="Model folder, run folder or hf:// id; without one no maps are shown.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Of scans: a text file, a table, or a folder of texts.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own wants --token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SIMCROP_VIEW_TOKEN",
            show_envvar=True,
            help="What a browser must know, 16 characters or more; on loopback it keeps other accounts out.",
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Scans below DIR may be opened by their path.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = True,
) -> None:
    """Look at scans, reports and heat maps in a browser: a click on a sentence shows where it is seen."""
    with loading():
        try:
            from simcrop.viewer.serve import Wanted
            from simcrop.viewer.serve import view as run
        except ModuleNotFoundError as error:
            if error.name not in ("starlette", "uvicorn", "python_multipart", "anyio", "h11"):
                raise
            raise SimcropError(
                "missing-package", "simcrop view needs an extra: pip install 'simcrop[viewer]'"
            ) from error

    run(Wanted(place, model, report, host, port, token, root, open_), typer.echo)
