"""`simcrop compare` on results of `simcrop ground-eval`: the same sentences, and who finds them better beyond chance.

Axes: s sentence. Lengths in mm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from simcrop.errors import SimcropError
from simcrop.evaluation.comparison import LEVEL
from simcrop.evaluation.grounding.scores import MEASURES
from simcrop.figures.page import Page
from simcrop.metrics import Interval, holm, mean_intervals, sign_flip_p
from simcrop.tasks.comparing.facts import facts_of, named
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.grounding.eval_page import WORDS
from simcrop.tasks.grounding.eval_table import KEYS, read_table
from simcrop.tasks.intervals import bounds, p_words, without_nan, written

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class ComparedGrounding:
    """By measure: `means` of each result; `differences`, first minus second, and p-values by pair, the latter corrected
    by Holm over all measures and pairs; `sentences`: that both could be judged by.
    """

    means: dict[str, list[Interval]]
    differences: dict[tuple[Pair, str], Interval]
    p_values: dict[tuple[Pair, str], float]
    sentences: dict[tuple[Pair, str], int]


def compare_groundings(
    folders: Sequence[Path], names: Sequence[str], out: Path, seed: int, overwrite: bool
) -> Path:
    """`metrics.json` and `report.html`; refused unless all were asked the same sentences of the same scans."""
    told = named("split_hash", "top_k", "scans", "patients")
    tables, facts = [read_table(folder) for folder in folders], [facts_of(folder, told) for folder in folders]
    for name, table, said in zip(names[1:], tables[1:], facts[1:], strict=True):
        refuse_other_sentences(f"{names[0]} and {name}", tables[0], facts[0], table, said)
    compared = compare_tables(tables, seed)
    settings = {"folders": [str(folder) for folder in folders], "seed": seed}
    with staged(out, "compare", settings, overwrite) as stage:
        write_metrics(stage, figures(compared, names, facts[0], seed))
        write_page(stage / "report.html", compared, names, facts[0], tables[0])
    return out / "report.html"


def refuse_other_sentences(
    where: str, first: pl.DataFrame, said: dict[str, Any], other: pl.DataFrame, other_said: dict[str, Any]
) -> None:
    """What is compared must be the same question, put to the same scans."""
    if said["split_hash"] != other_said["split_hash"]:
        raise SimcropError(
            "other-scans", f"{where} were judged by different scans: their split hashes differ"
        )
    if not first.select(KEYS).equals(other.select(KEYS)):
        raise SimcropError("other-scans", f"{where} were asked other sentences, or another truth")
    if said["top_k"] != other_said["top_k"]:
        raise SimcropError(
            "other-scans",
            f"{where} were judged by {said['top_k']} and {other_said['top_k']} patches: give both --top-k",
        )


def compare_tables(tables: Sequence[pl.DataFrame], seed: int) -> ComparedGrounding:
    """Every pair, on the same drawn patients; a sentence counts where both could be judged."""

    def drawn() -> np.random.Generator:
        return np.random.default_rng((seed, 4))

    values = [table.select(MEASURES).cast(pl.Float64).fill_null(float("nan")).to_numpy() for table in tables]
    patients = tables[0]["patient"].to_numpy()
    each = [mean_intervals(of, patients, drawn()) for of in values]
    means = {measure: [of[n] for of in each] for n, measure in enumerate(MEASURES)}
    keys, differences, p_values, sentences = [], {}, [], {}
    for i, j in combinations(range(len(tables)), 2):
        apart = values[i] - values[j]
        found = mean_intervals(apart, patients, drawn())
        for n, measure in enumerate(MEASURES):
            keys.append(((i, j), measure))
            differences[(i, j), measure] = found[n]
            sentences[(i, j), measure] = int((~np.isnan(apart[:, n])).sum())
            p_values.append(sign_flip_p(apart[:, n], patients, drawn()))
    raised = holm(p_values)
    return ComparedGrounding(means, differences, dict(zip(keys, raised.tolist(), strict=True)), sentences)


def figures(
    compared: ComparedGrounding, names: Sequence[str], facts: dict[str, Any], seed: int
) -> dict[str, Any]:
    """`metrics.json`."""
    return without_nan(
        {
            "seed": seed,
            **facts,
            "grounding": [
                {
                    "measure": measure,
                    "methods": {name: bounds("mean", of) for name, of in zip(names, means, strict=True)},
                    "pairs": [
                        {
                            "first": names[i],
                            "second": names[j],
                            **bounds("difference", found),
                            "p_holm": compared.p_values[(i, j), measure],
                            "sentences": compared.sentences[(i, j), measure],
                        }
                        for ((i, j), of), found in compared.differences.items()
                        if of == measure
                    ],
                }
                for measure, means in compared.means.items()
            ],
        }
    )


def write_page(
    path: Path,
    compared: ComparedGrounding,
    names: Sequence[str],
    facts: dict[str, Any],
    table: pl.DataFrame,
) -> None:
    k = facts["top_k"]
    page = Page(
        "Comparison",
        f"The same {len(table)} sentences about {facts['scans']} scans of {facts['patients']} patients. In brackets "
        "95 % intervals, of differences over the same drawn patients. Two results differ beyond chance where "
        "exchanging the signs of their differences, patient by patient, gives "
        f"p < {LEVEL} after Holm's correction over all measures and pairs. Of the last two measures less is better.",
    )
    page.section("On average")
    page.table(
        [[WORDS[measure].format(k=k), *map(written, means)] for measure, means in compared.means.items()],
        ["", *names],
    )
    page.section("Differences", "First minus second, sentence by sentence.")
    page.table(
        [
            [
                f"{names[i]} − {names[j]}",
                WORDS[measure].format(k=k),
                compared.sentences[(i, j), measure],
                written(found),
                p_words(compared.p_values[(i, j), measure]),
                "yes" if compared.p_values[(i, j), measure] < LEVEL else "no",
            ]
            for ((i, j), measure), found in compared.differences.items()
        ],
        ["difference", "measure", "sentences", "", "p, Holm", "beyond chance"],
    )
    page.write(path)
