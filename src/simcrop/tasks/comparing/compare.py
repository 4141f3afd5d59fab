"""`simcrop compare`: results of one kind on the same test scans, and which of them differ beyond chance.

Axes: r repetition (seed), s scan, l label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.errors import SimcropError
from simcrop.evaluation.comparison import LEVEL, Comparison, compare_methods
from simcrop.evaluation.heads.classes import compare_accuracies
from simcrop.figures.page import Page
from simcrop.metrics.intervals import Interval
from simcrop.tasks.comparing.facts import facts_of
from simcrop.tasks.comparing.grounding import compare_groundings
from simcrop.tasks.comparing.retrieval import RANKS, compare_retrievals
from simcrop.tasks.comparing.segmentation import compare_segmentations
from simcrop.tasks.folder import read_run, staged, write_metrics
from simcrop.tasks.grounding.eval_table import GROUND_EVAL
from simcrop.tasks.intervals import bounds, p_words, without_nan, written
from simcrop.tasks.probing.figures import PREDICTIONS
from simcrop.tasks.probing.page import share_words
from simcrop.tasks.segmentation.table import SEGMENT

RETRIEVE, ZERO_SHOT = "retrieve", "zero-shot"
OTHERS = {RETRIEVE: compare_retrievals, SEGMENT: compare_segmentations, GROUND_EVAL: compare_groundings}
Accuracies = tuple[tuple[Interval, ...], dict[tuple[int, int], Interval]]  # of each method, and by pair
UNTESTED = "A dash for p: the scans are too few, or differ too little, for a test; Holm does not count it."
MARKS = {"best": " ▲", "second": " △"}


@dataclass(frozen=True, eq=False)
class Judged:
    """What a probe said of its test scans: scores `(r, s, l)` of one share, and how these scans are known again:
    by their `ids`, in this order.
    """

    name: str
    scores: np.ndarray
    truth: np.ndarray
    patients: np.ndarray
    ids: list[str]
    labels: list[str]
    split_hash: str
    exclusive: bool = False


def compare(
    folders: Sequence[Path], out: Path, share: float | None = None, seed: int = 0, overwrite: bool = False
) -> Path:
    """`metrics.json` and `report.html`; refused unless all were judged by the same scans with the same truth."""
    if len(folders) < 2:
        raise SimcropError("bad-setting", "compare wants the folders of two results or more")
    names = names_of(folders)
    if other := OTHERS.get(kind_of_all(folders)):
        return other(folders, names, out, seed, overwrite)
    tables = [read_predictions(folder) for folder in folders]
    size = common_share(folders, tables, share)
    found = [judged(*each, size) for each in zip(folders, names, tables, strict=True)]
    for other in found[1:]:
        refuse_other_scans(found[0], other)
    accuracies = None
    if all(one.exclusive for one in found):
        accuracies = compare_accuracies(
            [one.scores for one in found], found[0].truth, found[0].patients, seed
        )
    compared = compare_methods([one.scores for one in found], found[0].truth, found[0].patients, seed)
    if not compared.judged.any():
        raise SimcropError("nothing-to-judge", "no label was judged by all of them")
    settings = {"folders": [str(folder) for folder in folders], "share": size, "seed": seed}
    with staged(out, "compare", settings, overwrite) as stage:
        classes = accuracy_figures(accuracies, names) if accuracies else {}
        write_metrics(stage, figures(compared, names, found[0], size, seed) | classes)
        write_page(stage, compared, names, found[0], size, accuracies)
    return out / "report.html"


def names_of(folders: Sequence[Path]) -> list[str]:
    """What each result is called: its folder, with the way to it where two have one name."""
    places = [folder.resolve() for folder in folders]
    if twice := [folder for n, folder in enumerate(folders) if places[n] in places[:n]]:
        raise SimcropError("bad-setting", f"{twice[0]} is given twice: compare wants different results")
    names = [place.name for place in places]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def kind_of_all(folders: Sequence[Path]) -> str:
    """Which verb made them; only results of one kind are compared. The heads of a transfer were probed, too."""
    kinds = []
    for folder in folders:
        run = read_run(folder)
        said = run["verb"] if run else RETRIEVE if (folder / RANKS).is_file() else "probe"
        kinds.append(said if said in {*OTHERS, ZERO_SHOT} else "probe")
    for folder, kind in zip(folders, kinds, strict=True):
        if kind != kinds[0]:
            raise SimcropError(
                "other-scans",
                f"results of one kind are compared: {folders[0]} is of `simcrop {kinds[0]}` and {folder} of "
                f"`simcrop {kind}`",
            )
    return kinds[0]


def read_predictions(folder: Path) -> pl.DataFrame:
    """Of a folder that `simcrop probe` wrote."""
    try:
        table = pl.read_parquet(folder / PREDICTIONS)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SimcropError(
            "bad-input", f"{folder} is no result of `simcrop probe`: no {PREDICTIONS} in it"
        ) from error
    missing = {"share", "seed", "id", "patient", "label", "score", "truth"} - set(table.columns)
    if missing:
        raise SimcropError(
            "bad-input", f"{folder}/{PREDICTIONS} lacks the columns {', '.join(sorted(missing))}"
        )
    return table


def common_share(folders: Sequence[Path], tables: Sequence[pl.DataFrame], wanted: float | None) -> float:
    """The share that is asked for, or the largest one that all probes have."""
    shares = set.intersection(*(set(table["share"].unique()) for table in tables))
    if wanted is None and shares:
        return max(shares)
    if wanted is not None and wanted in shares:
        return wanted
    each = "; ".join(
        f"{folder} has {sorted(set(table['share']))}" for folder, table in zip(folders, tables, strict=True)
    )
    raise SimcropError(
        "bad-setting", f"the probes have no share{f' {wanted:g}' if wanted else ''} in common: {each}"
    )


def judged(folder: Path, name: str, table: pl.DataFrame, share: float) -> Judged:
    """Scores in the order of ids, so that it does not matter in which order a cohort has its scans."""
    rows = table.filter(pl.col("share") == share).sort("seed", "id", maintain_order=True)
    labels = rows["label"].unique(maintain_order=True).to_list()
    shape = (rows["seed"].n_unique(), rows["id"].n_unique(), len(labels))
    if rows.height != np.prod(shape):
        raise SimcropError(
            "bad-input", f"{folder}/{PREDICTIONS} has not one row for each seed, scan and label"
        )
    first = rows.head(shape[1] * shape[2])
    return Judged(
        name,
        rows["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(shape),
        first["truth"].cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(shape[1:]),
        first["patient"].to_numpy()[:: shape[2]],
        first["id"].to_list()[:: shape[2]],
        labels,
        *facts_of(folder, split_and_kind),
    )


def split_and_kind(metrics: Any) -> tuple[str, bool]:
    """Of the test patients, as the probe wrote it down, and whether its labels exclude one another."""
    return metrics["split_hash"]["test"], bool(metrics.get("labels_exclusive"))


def refuse_other_scans(first: Judged, other: Judged) -> None:
    """What is compared must be the same question, put to the same scans."""
    where = f"{first.name} and {other.name}"
    if first.split_hash != other.split_hash:
        raise SimcropError(
            "other-scans", f"{where} were judged by different test patients: their split hashes differ"
        )
    if first.ids != other.ids:
        raise SimcropError(
            "other-scans", f"{where} were judged by different scans of these patients: their ids differ"
        )
    if first.labels != other.labels:
        raise SimcropError("other-scans", f"{where} judge different labels")
    if first.truth.shape != other.truth.shape or not np.array_equal(first.truth, other.truth, equal_nan=True):
        raise SimcropError("other-scans", f"{where} were judged by another truth")


def figures(
    compared: Comparison, names: Sequence[str], first: Judged, share: float, seed: int
) -> dict[str, Any]:
    """`metrics.json`."""
    return without_nan(
        {
            "share": share,
            "seed": seed,
            "split_hash": first.split_hash,
            "labels_absent": [
                name for name, there in zip(first.labels, compared.judged, strict=True) if not there
            ],
            "methods": {
                name: bounds("macro_auroc", of) for name, of in zip(names, compared.macro, strict=True)
            },
            "pairs": [
                {
                    "first": names[i],
                    "second": names[j],
                    **bounds("macro_auroc_difference", difference),
                    "labels": {
                        label: {
                            "difference": float(compared.aurocs[n].values[i] - compared.aurocs[n].values[j]),
                            "p_holm": float(compared.p_values[i, j][n]),
                        }
                        for n, label in enumerate(first.labels)
                    },
                }
                for (i, j), difference in compared.differences.items()
            ],
        }
    )


def accuracy_figures(accuracies: Accuracies, names: Sequence[str]) -> dict[str, Any]:
    """Of labels that exclude one another."""
    each, differences = accuracies
    return {
        "accuracy": {name: bounds("accuracy", of) for name, of in zip(names, each, strict=True)},
        "accuracy_pairs": [
            {"first": names[i], "second": names[j], **bounds("accuracy_difference", found)}
            for (i, j), found in differences.items()
        ],
    }


def add_accuracies(page: Page, accuracies: Accuracies, names: Sequence[str]) -> None:
    """Beside the AUROC, where of every scan one class is named."""
    each, differences = accuracies
    page.table([[name, written(of)] for name, of in zip(names, each, strict=True)], ["method", "accuracy"])
    page.table(
        [
            [f"{names[i]} − {names[j]}", written(found), "yes" if found.beyond_zero else "no"]
            for (i, j), found in differences.items()
        ],
        ["difference", "accuracy", "beyond chance"],
    )


def write_page(
    stage: Path,
    compared: Comparison,
    names: Sequence[str],
    first: Judged,
    share: float,
    accuracies: Accuracies | None = None,
) -> None:
    """Macro figures, differences, and every label."""
    scans, patients = len(first.truth), len(set(first.patients))
    how = "Asked in words" if share == 0 else f"Learned from {share_words(share)}"
    page = Page(
        "Comparison",
        f"{how}, judged by the same {scans} scans of {patients} patients. "
        "▲ best and △ second best, marked only where the difference to the next is beyond chance: the paired interval "
        f"of the macro AUROC leaves out 0, or DeLong's test, by patient, gives p < {LEVEL} after Holm's correction "
        "over all labels and pairs.",
    )
    page.section("On average")
    marks = compared.marks()
    page.table(
        [
            [name, written(of) + MARKS.get(marks.get(i, ""), "")]
            for i, (name, of) in enumerate(zip(names, compared.macro, strict=True))
        ],
        ["method", "macro AUROC"],
    )
    page.table(
        [
            [f"{names[i]} − {names[j]}", written(found), "yes" if compared.apart(i, j) else "no"]
            for (i, j), found in compared.differences.items()
        ],
        ["difference", "macro AUROC", "beyond chance"],
    )
    if accuracies:
        add_accuracies(page, accuracies, names)
    page.section(
        "Label by label", f"AUROC; a dash where a label could not be judged by all methods. {UNTESTED}"
    )
    page.table(
        [label_row(compared, n, label) for n, label in enumerate(first.labels)],
        ["label", *names, *(f"p, {names[i]} / {names[j]}" for i, j in compared.differences)],
    )
    page.write(stage / "report.html")


def label_row(compared: Comparison, n: int, label: str) -> list[object]:
    marks = compared.marks(n)
    values = [
        "–" if np.isnan(value) else f"{value:.3f}{MARKS.get(marks.get(i, ''), '')}"
        for i, value in enumerate(compared.aurocs[n].values)
    ]
    return [label, *values, *(p_words(float(p[n])) for p in compared.p_values.values())]
