"""The experiment on natural anatomies in words: what was reached, beside its ceiling and what it was held to.

No axes or units; rates and AUROCs are in [0, 1].
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simcrop.experiments.extension_text import seed_by_seed, with_bounds
from simcrop.figures.document import Document

TITLE = "Natural anatomies, all 18 findings"
NOTE = (
    "Probe: logistic regression on frozen patch features, their mean and their largest values, fitted on the "
    "pre-training scans and their labels, beside it on those of a tenth of their patients; judged on other patients. "
    "Pointing game: share of test sentences "
    "naming a lesion whose nearest patch touches that lesion; swapped: the same scans asked for a finding they do not "
    "have; prior: the mean map of the same kind of sentence over other patients. Presence: AUROC of a sentence's best "
    "similarity, what the scan shows against what it lacks; denials are not in it. Brackets: 95 % intervals over "
    "patients and seeds."
)
READABLE = 0.75
NEVER = 0.005  # a swapped sentence that never hits counts as hitting once in two hundred
COLUMNS = ("method", "seeds", "probe", "a tenth of the labels", "pointing", "swapped", "prior", "presence")


def write_texts(out: Path, results: Mapping[str, Any]) -> None:
    """`natural.md` and `report.html`."""
    arms, ceiling = results["arms"], results["ceiling"]
    scans = ", ".join(f"{part} {count}" for part, count in results["scans"].items())
    caption = f"Scans: {scans}. Split {results['split_hash'][:12]}."
    rows = [row_of(name, found) for name, found in arms.items()]
    heads = ("finding", "positive", *ceiling, *arms)
    by_label = [
        [
            kind,
            count,
            *(f"{found['labels'][kind]:.2f}" for found in (*ceiling.values(), *arms.values())),
        ]
        for kind, count in results["positives"].items()
    ]
    asked = [name for name, found in arms.items() if "pointing_kinds" in found]
    by_kind = [[kind, *(seed_by_seed(arms[name], kind) for name in asked)] for kind in results["positives"]]
    ceilings = [[name, f"{found['value']:.3f}"] for name, found in ceiling.items()]
    held = [
        [what, f"{value:.3f}", f"{aim:.2f}", "met" if met else "missed"]
        for what, value, aim, met in bars(results)
    ]
    moved = [
        [name, with_bounds(found["probe"]), *map(with_bounds, found["shifted"].values())]
        for name, found in arms.items()
        if "shifted" in found
    ]
    tables = (
        ("Methods", COLUMNS, rows),
        ("Ceilings: macro AUROC with labels", ("what reads", "AUROC"), ceilings),
        ("AUROC by finding", heads, by_label),
        ("Pointing game, hits by finding, seed by seed", ("finding", *asked), by_kind),
        (
            "The field of view moved by 30 mm along every axis",
            ("method", "probe as it lies", "probe, moved", "pointing, moved"),
            moved,
        ),
        *inserted_tables(results.get("inserted")),
        ("What it was held to", ("what", "reached", "bar", ""), held),
    )
    text = Document(TITLE, NOTE, caption)
    for title, columns, cells in tables:
        text.section(title).table(cells, columns)
    text.write(out / "natural.md", out / "report.html")


def inserted_tables(inserted: Mapping[str, Any] | None) -> list[tuple[str, tuple[str, ...], list[list[Any]]]]:
    """Findings put into real scans, where somebody asked for that."""
    if inserted is None:
        return []
    rates = ("hit", "swapped", "prior", "chance")
    rows = [[name, *(with_bounds(found[rate]) for rate in rates)] for name, found in inserted["arms"].items()]
    about = "{insertions} insertions into {scans} real scans, {questions} sentences".format(**inserted)
    kinds = sorted({kind for found in inserted["arms"].values() for kind in found["kinds"]})
    by_kind = [
        [
            kind,
            *(
                " ".join(f"{hit:.2f}" for hit in found[which].get(kind, [])) or "-"
                for found in inserted["arms"].values()
                for which in ("kinds", "swapped_kinds")
            ),
        ]
        for kind in kinds
    ]
    heads = tuple(column for name in inserted["arms"] for column in (name, f"{name}, swapped"))
    return [
        (f"Pointing in real scans: {about}", ("method", "pointing", *rates[1:]), rows),
        ("The same by finding, seed by seed", ("finding", *heads), by_kind),
    ]


def row_of(name: str, found: Mapping[str, Any]) -> list[str]:
    """One line of the main table; what an arm cannot have is a dash."""
    pointing = found.get("pointing")
    return [
        name,
        str(len(found["seeds"])),
        with_bounds(found["probe"]),
        with_bounds(found["probe_share"]),
        with_bounds(pointing["hit"]) if pointing else "-",
        *(f"{pointing[what]['value']:.2f}" if pointing else "-" for what in ("swapped", "prior")),
        f"{found['tells_presence']['value']:.2f}" if pointing else "-",
    ]


def readable(ceiling: Mapping[str, Any]) -> list[str]:
    """Kinds that some reader reads well with labels."""
    kinds = next(iter(ceiling.values()))["labels"]
    return [kind for kind in kinds if max(found["labels"][kind] for found in ceiling.values()) >= READABLE]


def times_swapped(found: Mapping[str, Any], kinds: Sequence[str]) -> list[float]:
    """Hits over those of swapped sentences, of every one of these kinds in every seed."""
    return [
        hit / max(swapped, NEVER)
        for kind in kinds
        if kind in found["pointing_kinds"]
        for hit, swapped in zip(found["pointing_kinds"][kind], found["swapped_kinds"][kind], strict=True)
    ]


def bars(results: Mapping[str, Any]) -> list[tuple[str, float, float, bool]]:
    """What was reached, and how much was asked; differences are paired and count by their lower bound against 0."""
    arms, over = results["arms"], results["plus_over"]
    plus = arms["SimCroP plus"]
    hits, swapped = plus["pointing"]["hit"]["by_seed"], plus["pointing"]["swapped"]["by_seed"]
    ceiling = max(found["value"] for found in results["ceiling"].values())
    mispaired = (
        arms["SimCroP plus, mispaired scans"]["probe"]["value"] - arms["Random init"]["probe"]["value"]
    )
    least = {
        "probe AUROC": (plus["probe"]["value"], 0.84),
        "probe AUROC, a tenth of the labels": (plus["probe_share"]["value"], 0.75),
        "over random, same stem": (over["Random init"]["value"], 0.10),
        "over random, lower bound": (over["Random init"]["low"], 0.0),
        "over MAE, same stem": (over["MAE"]["value"], 0.08),
        "over MAE, lower bound": (over["MAE"]["low"], 0.0),
        "pointing, worst seed": (min(hits), 0.65),
        "pointing, times swapped, worst seed": (
            min(hit / max(other, 1e-9) for hit, other in zip(hits, swapped, strict=True)),
            4.0,
        ),
        f"pointing, times swapped, worst kind and seed of those read at {READABLE} or more": (
            min(times_swapped(plus, readable(results["ceiling"])), default=0.0),
            2.0,
        ),
        "pointing over the position prior": (plus["pointing_over"]["prior"]["value"], 0.30),
        "pointing at nodules, worst seed": (min(plus["pointing_kinds"].get("Lung nodule", [0.0])), 0.30),
        "presence of a finding, AUROC": (plus["tells_presence"]["value"], 0.80),
    }
    inserted = results.get("inserted")
    if inserted is not None:
        found = inserted["arms"]["SimCroP plus"]
        least["in real scans: pointing, times swapped"] = (
            found["hit"]["value"] / max(found["swapped"]["value"], NEVER),
            2.0,
        )
    most = {
        "mispaired from random": (abs(mispaired), 0.03),
        "below the ceiling": (ceiling - plus["probe"]["value"], 0.03),
    }
    return [(what, value, aim, value >= aim) for what, (value, aim) in least.items()] + [
        (f"{what}, at most", value, aim, value <= aim) for what, (value, aim) in most.items()
    ]
