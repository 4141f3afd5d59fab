"""Options that many verbs share."""

from pathlib import Path
from typing import Annotated

import typer

INTERRUPTED = 130  # exit code of what can be continued

CohortPath = Annotated[Path, typer.Argument(help="A cohort: the folder that `simcrop ingest` wrote.")]
ModelPath = Annotated[str, typer.Argument(help="Model folder, run folder or hf:// id.")]
ModelOrFeatures = Annotated[
    str,
    typer.Argument(metavar="MODEL_OR_FEATURES", help="Model or run folder; or features made elsewhere."),
]
Truth = Annotated[
    Path | None,
    typer.Option("--truth", help="What `simcrop phantom` wrote; found where the cohort was ingested from."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue what an earlier run left unfinished.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run of this verb.")]
Rescale = Annotated[
    str | None,
    typer.Option(
        metavar="SLOPE,INTERCEPT", help="Of scans whose own numbers are no HU: 1,-1024, for example."
    ),
]
Scored = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        min=1,
        help="Patches that score a sentence; by default as many as training averaged where it compared images, else a "
        "twentieth.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn by chance.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change one setting: --set optim.lr=3e-4")]


def numbers(option: str, words: str) -> tuple[float, ...]:
    """`0.01,0.1,1` as numbers."""
    try:
        return tuple(float(word) for word in words.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"--{option} wants numbers with commas between, got {words!r}") from error
