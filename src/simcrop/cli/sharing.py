"""The verbs of the command line by which a model leaves this machine: `export`, `push` and `bundle`."""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import ModelPath, Out, Overwrite

ToShare = Annotated[str, typer.Argument(help="Run folder or model folder.")]
Licence = Annotated[str | None, typer.Option("--licence", help="Of the model: apache-2.0, for example.")]
DataLicence = Annotated[
    str | None, typer.Option(help="Of the data that it learned from, unless its cohort states it.")
]
Results = Annotated[
    list[Path] | None,
    typer.Option(metavar="FOLDER", help="Of probe, zero-shot or retrieve; may be given several times."),
]
Onnx = Annotated[bool, typer.Option("--onnx", help="The encoder as encoder.onnx, too.")]


def export(
    run: ToShare,
    out: Out,
    licence: Licence = None,
    data_licence: DataLicence = None,
    results: Results = None,
    onnx: Onnx = False,
    overwrite: Overwrite = False,
) -> None:
    """A model folder for others, with a model card; no place of a file in it."""
    with loading():
        from simcrop.tasks.sharing.card import CardOptions
        from simcrop.tasks.sharing.export import export as run_export

    options = CardOptions(licence, data_licence, tuple(results or ()))
    done = run_export(run, out, options, onnx, overwrite)
    if done.differs is not None:
        typer.echo(f"encoder.onnx: features differ by {done.differs:.1e} at most")
    typer.echo(
        f"{done.parameters / 1e6:.1f} million parameters in {done.folder}; read README.md before you share it"
    )


def push(
    run: ToShare,
    to: Annotated[str, typer.Argument(metavar="HF_ID", help="hf://owner/name")],
    private: Annotated[bool, typer.Option("--private", help="Make a private repository.")] = False,
    licence: Licence = None,
    data_licence: DataLicence = None,
    results: Results = None,
    onnx: Onnx = False,
) -> None:
    """Send an exported model to the Hugging Face Hub; of a run a card is written on the way."""
    with loading():
        from simcrop.tasks.sharing.card import CardOptions
        from simcrop.tasks.sharing.push import push as run_push

    options = CardOptions(licence, data_licence, tuple(results or ()))
    done = run_push(run, to, private, options, onnx)
    typer.echo(f"sent to {done.to}, commit {done.commit[:12]}")
    if done.left:
        typer.echo(f"no part of the model, and not sent: {', '.join(done.left)}")


def bundle(
    model: ModelPath,
    out: Out,
    overwrite: Overwrite = False,
) -> None:
    """One folder with model, text encoder and tokenizer, for machines without a network."""
    with loading():
        from simcrop.tasks.sharing.bundle import bundle as run

    done = run(model, out, overwrite)
    typer.echo(f"{done.files} files, {done.bytes / 2**20:.0f} MB, in {out}")
