"""The verbs of the command line that say what features are worth: `probe`, `compare`, `transfer`, `zero-shot`,
`retrieve`, `audit`.
"""

from pathlib import Path
from typing import Annotated

import typer

from simcrop.cli.loading import loading
from simcrop.cli.options import (
    CohortPath,
    ModelOrFeatures,
    ModelPath,
    Out,
    Overwrite,
    Scored,
    Seed,
    Truth,
    numbers,
)


def probe(
    model: ModelOrFeatures,
    cohort: CohortPath,
    out: Out,
    share: Annotated[str, typer.Option(help="Of the training patients to learn from: 0.01,0.1,1")] = "1",
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions of every share, from --seed on.")] = 1,
    seed: Seed = 0,
    train: Annotated[str, typer.Option(help="Split to learn from.")] = "train",
    test: Annotated[str, typer.Option(help="Split to judge by.")] = "valid",
    pool: Annotated[str, typer.Option(help="mean or max over the patches of a scan.")] = "mean",
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Judge its groups apart; may be given several times."),
    ] = None,
    table: Annotated[Path | None, typer.Option(help="A CSV with `id` and the columns of --by.")] = None,
    baselines: Annotated[bool, typer.Option(help="Probe a random start of the same encoder, too.")] = True,
    views: Annotated[
        int, typer.Option(min=1, help="Of each training scan: the first as it is, others augmented.")
    ] = 1,
    head: Annotated[
        str, typer.Option(help="logistic (quick), linear (the paper's), or attention over patches.")
    ] = "logistic",
    settings: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FILE", help="How linear and attention are trained; the data set's own."
        ),
    ] = None,
    exclusive: Annotated[
        bool | None,
        typer.Option("--exclusive/--not-exclusive", help="A scan has exactly one label; as the cohort says."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """A head on frozen features: AUROC and more per label with confidence intervals."""
    with loading():
        from simcrop.tasks.probing.probe import ProbeOptions
        from simcrop.tasks.probing.probe import probe as run

    options = ProbeOptions(
        *(numbers("share", share), seeds, seed, train, test, pool, tuple(by or ()), table, baselines),
        views=views,
        head=head,
        settings=settings,
        exclusive=exclusive,
    )
    for size, found in sorted(run(model, cohort, out, options, overwrite).items()):
        macro = found.judgement.auroc
        of = "" if size == 1 else f" with {size:g} of the patients"
        typer.echo(f"macro AUROC {macro.words}{of}")
        if classes := found.judged.classes:
            right = classes.accuracy
            typer.echo(f"accuracy {right.words}{of}")
    typer.echo(f"open {out / 'report.html'}")


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="A B [C ...]",
            help="Folders of `probe` or `transfer`; or of `zero-shot`, `retrieve`, `segment`, `ground-eval`.",
        ),
    ],
    out: Out,
    share: Annotated[
        float | None, typer.Option(help="Which share of each; the largest that all have.")
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Results on the same test scans: paired differences, DeLong per label, and who is best beyond chance."""
    with loading():
        from simcrop.tasks.comparing.compare import compare as run

    page = run(results, out, share, seed, overwrite)
    typer.echo(f"open {page}")


def transfer(
    probe: Annotated[Path, typer.Argument(help="A folder that `probe` wrote.")],
    cohort: CohortPath,
    out: Out,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL_OR_FEATURES", help="Where the encoder lies, if it moved.")
    ] = None,
    label_map: Annotated[
        str | None,
        typer.Option("--map", help="ct-rate-to-rad-chestct, or a YAML file; found where it can be."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Judge this split alone.")] = None,
    share: Annotated[float | None, typer.Option(help="Which share's heads; the largest.")] = None,
    unrelated: Annotated[
        bool,
        typer.Option("--unrelated", help="Patients of both cohorts may have one name and be two people."),
    ] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """A probe of one data set on another, whose labels mean nearly the same."""
    with loading():
        from simcrop.tasks.probing.transfer import transfer as run

    macro = run(probe, cohort, out, model, label_map, split, share, seed, overwrite, unrelated).auroc
    typer.echo(f"macro AUROC {macro.words}")
    typer.echo(f"open {out / 'report.html'}")


def zero_shot(
    model: ModelPath,
    cohort: CohortPath,
    out: Out,
    protocol: Annotated[str, typer.Option(help="ct-clip, hlip, radfinder, radfinder-t3, or a YAML file.")],
    test: Annotated[str, typer.Option(help="Split to judge by; all: whatever split it is in.")] = "valid",
    develop: Annotated[str | None, typer.Option(help="Split that thresholds come from.")] = None,
    top_k: Scored = None,
    label_map: Annotated[
        str | None,
        typer.Option("--map", help="ct-rate-to-rad-chestct, or a YAML file; found where it can be."),
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Labels asked for in words, by a published protocol."""
    with loading():
        from simcrop.tasks.probing.zero_shot import zero_shot as run

    found = run(model, cohort, out, protocol, test, develop, top_k, label_map, seed, overwrite)
    macro, classes = found.auroc, len(found.labels) - len(found.absent)
    typer.echo(f"macro AUROC {macro.words}, {classes} classes")
    typer.echo(f"open {out / 'report.html'}")


def retrieve(
    model: ModelOrFeatures,
    cohort: CohortPath,
    out: Out,
    split: Annotated[str, typer.Option(help="Whose reports and scans look for one another.")] = "valid",
    text: Annotated[str, typer.Option(help="findings, impression or report.")] = "findings",
    top_k: Scored = None,
    texts: Annotated[
        Path | None, typer.Option(metavar="FEATURES", help="Vectors of the reports, beside those of scans.")
    ] = None,
    sentence: Annotated[
        list[str] | None, typer.Option("--sentence", help="List the scans that fit it best; several times.")
    ] = None,
    most_sentences: Annotated[
        int, typer.Option(min=0, help="Of the reports' own, that look for scans one by one.")
    ] = 2000,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Reports and sentences find their scans, scans reports and their like, in every published pool, beside chance."""
    with loading():
        from simcrop.tasks.retrieval.retrieve import RetrieveOptions
        from simcrop.tasks.retrieval.retrieve import retrieve as run

    options = RetrieveOptions(split, text, top_k, seed, texts, tuple(sentence or ()), most_sentences)
    for found in run(model, cohort, out, options, overwrite):
        at = max(k for k in found.recall if k <= 10)
        recall, chance = found.recall[at], found.chance[at]
        typer.echo(f"{found.direction}, {found.pool}: R@{at} {recall.value:.3f}, by chance {chance:.3f}")
    typer.echo(f"open {out / 'report.html'}")


def audit(
    model: ModelPath,
    cohort: CohortPath,
    out: Out,
    split: Annotated[str, typer.Option(help="Whose reports are changed.")] = "valid",
    truth: Truth = None,
    top_k: Scored = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Does the text matter? Sentences of reports are made wrong, and their scores should fall."""
    with loading():
        from simcrop.tasks.auditing.audit import audit as run

    found = run(model, cohort, out, split, truth, top_k, seed, overwrite)
    for name, shifts in found.shifts.items():
        falls = shifts.all.falls
        typer.echo(
            f"{name}: {100 * falls.value:.0f} % of {shifts.all.sentences} sentences score lower, "
            + (
                f"95 % interval {100 * falls.low:.0f} to {100 * falls.high:.0f}"
                if falls.wide
                else "no interval"
            )
            if shifts.all.sentences
            else f"{name}: no sentence could be changed"
        )
    presence = found.says_nothing["all"]
    typer.echo(f"says-nothing AUROC {presence.words}")
    typer.echo(f"open {out / 'report.html'}")
