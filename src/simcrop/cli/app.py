"""The command line: parse, call a task, print. Everything heavy is imported inside the verb that needs it."""

import re
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from simcrop.cli.doctor import doctor
from simcrop.cli.evaluations import audit, compare, probe, retrieve, transfer, zero_shot
from simcrop.cli.ground import ground
from simcrop.cli.ground_eval import ground_eval
from simcrop.cli.ground_rex import ground_rex
from simcrop.cli.loading import loading
from simcrop.cli.methods import methods
from simcrop.cli.options import INTERRUPTED, CohortPath, Out, Overwrite, Resume, Seed, Set
from simcrop.cli.plan import plan
from simcrop.cli.scans import embed, ingest
from simcrop.cli.segment import segment
from simcrop.cli.segment_predict import segment_predict
from simcrop.cli.sharing import bundle, export, push
from simcrop.cli.similar import similar
from simcrop.cli.studies import demo, reproduce
from simcrop.cli.view import view
from simcrop.errors import SimcropError, ToldError
from simcrop.stderr import unread, write_line

# Typer carries its own Click in newer releases and shares Click's in older ones: ask it for the classes.
UsageProblem: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

CONTINUING = {
    # They write their results at the end alone, but keep in the cohort what they make of scans on the way.
    **dict.fromkeys(
        ("probe", "transfer", "zero-shot", "retrieve", "similar", "audit"), "the same command continues"
    ),
    "phantom": "the same command continues",
    "ingest": "the same command continues",
    "demo": "the same command with --resume continues",
    "reproduce": "the same command with --resume continues",
    "pretrain": "the same command with --resume continues",
    "segment": "the same command with --resume continues",
    "embed": "the same command with --resume continues",
    "segment-predict": "the same command with --resume continues",
    "ground-rex": "the same command with --resume continues",
    "ground-eval": "the same command with --resume continues",
    "ground": "nothing was stored of one scan; of many, the same command with --resume continues",
}

UNHEARD = 128 + signal.SIGPIPE  # as a shell tells it of programs that the signal ended

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Learns to read 3D chest CT from the reports that radiologists wrote about it.",
    epilog="Exit codes: 0 done; 1 done, but some inputs were refused; 2 not done, one line says why; 130 interrupted. "
    "Errors are one line; add --debug to see where they came from.",
    context_settings={"help_option_names": ["--help", "-h"]},
)
recipe_app = typer.Typer(help="The shipped recipes, as YAML to copy.")
weights_app = typer.Typer(help="Foreign weights into ours, every key accounted for.")
app.add_typer(recipe_app, name="recipe")
app.add_typer(weights_app, name="weights")


@app.callback(invoke_without_command=True)
def simcrop(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from simcrop import __version__

        typer.echo(f"simcrop {__version__}")
        raise typer.Exit


app.command()(demo)
app.command()(reproduce)


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the raw cohort and its truth/.")],
    layout: Annotated[
        str | None,
        typer.Option(
            help="Raw layout: ct-rate (as by default), rad-chestct, cc-ccii, luna16, btcv, rexgrounding or folder."
        ),
    ] = None,
    patients: Annotated[
        int | None, typer.Option(help="16 by default; with --background one per scan.")
    ] = None,
    seed: Seed = 0,
    size: Annotated[str | None, typer.Option(help="tiny (as by default), small or full.")] = None,
    difficulty: Annotated[str, typer.Option(help="How much anatomies vary: easy or real.")] = "real",
    release: Annotated[str, typer.Option(help="CT-RATE release to imitate: v1 (bare headers) or v2.")] = "v2",
    background: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Insert findings into the real scans below FOLDER.")
    ] = None,
    organs: Annotated[
        bool, typer.Option("--organs", help="Label maps of organs and their texts, for ct-rate and folder.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the result is the same.")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Write a synthetic cohort with known truth in the raw layout of a data set."""
    from simcrop.tasks.cohorts.phantom import phantom as run
    from simcrop.tasks.cohorts.phantom import phantom_in_real_scans as insert

    if background is not None:
        if organs:
            raise SimcropError("bad-setting", "--background has no organ maps: leave --organs out")
        count, refused = insert(out, background, patients, seed, layout, size, overwrite, difficulty, workers)
        for sentence in refused:
            write_line(f"refused: {sentence}")
        typer.echo(f"{count} volumes in {out}")
        raise typer.Exit(1 if refused else 0)
    count = run(out, layout, patients, seed, size, release, overwrite, difficulty, workers, organs)
    typer.echo(f"{count} volumes in {out}")


app.command()(ingest)


@app.command()
def check(
    cohort: CohortPath,
    out: Out,
    recipe: Annotated[
        str | None, typer.Option(help="Draw the input of this recipe; the paper's when not given.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Read every volume, or only a sample.")
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """What a cohort holds and what is odd in it, on one page; every volume against its checksum."""
    from simcrop.tasks.cohorts.check import check_cohort, summary

    checked = check_cohort(cohort, out, recipe, verify, overwrite)
    for line in summary(checked):
        typer.echo(line)
    typer.echo(f"open {out / 'report.html'}")
    raise typer.Exit(1 if checked.seen.damaged else 0)


@app.command()
def pretrain(
    cohort: CohortPath,
    out: Out,
    recipe: Annotated[str, typer.Option(help="A shipped recipe or a YAML file.")] = "simcrop-paper",
    set_: Set = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Pre-train on a cohort. Many processes: torchrun ... -m simcrop pretrain ..."""
    with loading():
        from simcrop.config import load_recipe
        from simcrop.tasks.training.pretrain import pretrain as run

    fitted = run(cohort, load_recipe(recipe, set_), out, resume, overwrite)
    if not fitted.finished:
        write_line(f"stopped after step {fitted.steps}")
        raise typer.Exit(INTERRUPTED)


app.command()(segment)
app.command()(embed)
app.command()(segment_predict)
app.command()(probe)
app.command()(compare)
app.command()(transfer)
app.command()(zero_shot)
app.command()(retrieve)
app.command()(similar)
app.command()(audit)
app.command()(ground)
app.command()(ground_eval)
app.command()(ground_rex)
app.command()(view)
app.command()(methods)
app.command()(plan)
app.command()(doctor)
app.command()(export)
app.command()(push)
app.command()(bundle)


@recipe_app.command("list")
def recipe_list() -> None:
    """Names of the shipped recipes."""
    with loading():
        from simcrop.config import recipe_names

    for name in recipe_names():
        typer.echo(name)


@recipe_app.command("show")
def recipe_show(
    name: Annotated[str, typer.Argument(help="A shipped recipe; see `simcrop recipe list`.")],
    full: Annotated[bool, typer.Option("--full", help="Every setting, defaults included.")] = False,
) -> None:
    """Print a recipe as YAML."""
    with loading():
        from simcrop.config import full_yaml, load_recipe, recipe_text

    typer.echo(full_yaml(load_recipe(name)) if full else recipe_text(name), nl=False)


@weights_app.command("import")
def weights_import(
    kind: Annotated[str, typer.Argument(help="cxr-bert (or any BERT), m3d, mae-imagenet or released")],
    file: Annotated[Path, typer.Argument(help="The folder or file that was downloaded.")],
    out: Out,
    overwrite: Overwrite = False,
) -> None:
    """Convert downloaded weights to safetensors that recipes can name; `m3d` and `released` become model folders."""
    from simcrop.tasks.weights import import_weights

    typer.echo(import_weights(kind, file, out, overwrite))


for verb in app.registered_commands:
    # Whole, or the list of `simcrop --help` would cut it.
    verb.short_help = re.split(r"(?<=[.?])\s", verb.callback.__doc__ or "")[0] if verb.callback else None


def main(argv: list[str] | None = None) -> None:
    """Run a verb. Exit codes: 0 done, 1 done but inputs were refused, 2 unusable, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = app(words or ["--help"], prog_name="simcrop", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001
        # The outermost edge: Python's own exit code for a crash, 1, would read as "done, some inputs refused",
        # and its trace may quote a report. Whoever wants it asks for it.
        if debug:
            write_line(traceback.format_exc())
        if isinstance(error, ToldError):
            sys.exit(2)
        fail(sentence_of(error), 2)
    except SystemExit as leaving:  # Typer, too, when it is told that a pipe is closed
        if isinstance(leaving.__context__, BrokenPipeError):
            leave_unheard(leaving.__context__)
        raise
    if code == INTERRUPTED:  # Typer, too, turns Ctrl-C into this code
        fail(f"interrupted; {CONTINUING.get(words[0], 'nothing was stored')}", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def sentence_of(error: Exception) -> str:
    """One line for the person at the keyboard."""
    if isinstance(error, SimcropError):
        return " ".join(error.sentence.split())
    if isinstance(error, UsageProblem):
        problem: Any = error
        return usage_sentence(" ".join(problem.format_message().split()), getattr(problem, "ctx", None))
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory"
    home = Path(__file__).parents[1]
    frame = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(home)][
        -1
    ]
    kind, where = type(error).__name__, f"{Path(frame.filename).relative_to(home)} line {frame.lineno}"
    return f"a fault in simcrop, {kind} in {where}; --debug shows the trace, which may quote your data"


def usage_sentence(message: str, context: Any) -> str:
    """The parser's words, but for those that would repeat a sentence somebody forgot to quote. `context`: the parser's
    of the verb, if it came so far.
    """
    if message.startswith("Got unexpected extra argument"):
        if context is None or any(option.name == "sentence" for option in context.command.params):
            return 'too many words; put a sentence in quotes: --sentence "A nodule in the left upper lobe."'
        verb = context.command.name
        return f"too many words; numbers of one value stand with commas, 1.5,1.5,3; see simcrop {verb} --help"
    return f"{message.rstrip('.')}; see simcrop --help" if message.startswith("No such") else message


def leave_unheard(error: BrokenPipeError) -> NoReturn:
    """Without a word, as other programs do whose stdout nobody reads any more; any other pipe is a fault to be told."""
    if unread(1):
        sys.exit(UNHEARD)
    fail(sentence_of(error), 2)


def fail(sentence: str, code: int) -> NoReturn:
    write_line(f"error: {sentence}")
    sys.exit(code)
