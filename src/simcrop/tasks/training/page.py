"""A pre-training run in figures and on a page: its curves, its speed and its settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simcrop.claim import differences
from simcrop.config import Recipe, flat
from simcrop.engine.journal import Row
from simcrop.evaluation.monitor import HELD_OUT, UNREAD
from simcrop.figures.curves import draw_curves
from simcrop.figures.page import Page
from simcrop.objectives.method import Term
from simcrop.tasks.folder import read_run
from simcrop.tasks.training.organ_texts import ORGAN_TEXTS
from simcrop.tasks.training.start_from import lines_of

BLIND = 0.05  # other images that retrieve this little worse than the true ones say that nobody looks at these

HELD_OUT_STUDIES = (
    f"Asked of the split {HELD_OUT}, by which nothing was chosen; in CT-RATE these are the test set."
)


def write_run_page(
    run: Path, recipe: Recipe, terms: Mapping[str, Term], rows: list[Row], metrics: dict[str, Any]
) -> None:
    """`report.html` of a finished run; what its `terms` are, the method says."""
    page = Page(
        f"Pre-training with {recipe.method}",
        "; ".join(f"{name}: {term.words}" for name, term in terms.items())
        + f". {compared(terms, recipe)}A falling loss alone proves nothing about what was learned.",
    )
    page.figures(run_figures(rows, metrics))
    add_run(page, run, recipe, terms, rows)
    page.write(run / "report.html")


def run_figures(rows: list[Row], metrics: Mapping[str, Any]) -> dict[str, object]:
    """What a run is in a few numbers."""
    share, peak = metrics.get("of_limit"), metrics.get("peak_gb")
    return {
        "steps": rows[-1]["step"],
        "loss, last tenth": metrics["loss_last"],
        "volumes per second": metrics["volumes_per_s"],
        **({"of the device's limit": f"{share:.0%}"} if share is not None else {}),
        "waiting for data": f"{metrics['data_wait']:.1%}",
        **({"GB at the peak": round(peak, 2)} if peak is not None else {}),
    }


def add_run(page: Page, run: Path, recipe: Recipe, terms: Mapping[str, Term], rows: list[Row]) -> None:
    """How the training went: curves, what was asked on the way, where it started, and all settings."""
    page.section("Loss terms")
    page.drawing(draw_curves(rows, ["loss", *terms, "grad_norm"], "Over steps"))
    if found := monitored_rows(rows):
        page.section("Does it look at the image?", f"{verdict(found[-1])} {HELD_OUT_STUDIES}")
        drawn = [name for name in found[-1] if name not in {"step", UNREAD}]
        page.drawing(draw_curves(found, drawn, "Held-out studies, over steps"))
    if start := (read_run(run) or {}).get("start"):
        page.section("Where it starts", f"{'; '.join(lines_of(start))}.")
        page.table(start_rows(start), ["", "names"])
    if told := (read_run(run) or {}).get(ORGAN_TEXTS):
        page.section("Texts of organs", f"Where they are from: {told}.")
    if found := differences(flat(recipe)):
        page.section("Not as in its source", f"In these settings the run differs from {recipe.claim.source}.")
        page.table([[line] for line in found], ["setting, here and there, and what mends it"])
    page.section("Settings", "Every setting of the run, defaults included.")
    page.table(
        [[name, str(value)] for name, value in flat(recipe).items() if not name.startswith("claim.")],
        ["setting", "value"],
    )


def start_rows(start: Mapping[str, Any]) -> list[list[str]]:
    """Every key of the file that the network started from, and what it has beside."""
    words = {
        "loaded": "loaded",
        "skipped": "in the file, not wanted",
        "new": "new here",
        "sha256": "SHA-256",
    }
    values = ((of, start[name]) for name, of in words.items())
    return [[of, value if isinstance(value, str) else ", ".join(value) or "none"] for of, value in values]


def monitored_rows(rows: list[Row]) -> list[Row]:
    """What the monitor found: steps and figures."""
    return [{"step": row["step"], **row["monitored"]} for row in rows if row.get("monitored")]


def verdict(figures: Row) -> str:
    """Whether the alignment needs the image, in one sentence; a run that does not need it says so."""
    true, blank = figures.get("align_accuracy"), figures.get("align_accuracy_blank")
    if true is None or blank is None:
        return "The reports of the held-out studies are too short to ask."
    foreign = figures.get("align_accuracy_mispaired")
    if foreign is None:
        return (
            "Whether this alignment needs the image is not known: one held-out study has a report long enough, and "
            f"no other patient's image could be asked ({true:.0%} with the true image, {blank:.0%} with an empty one)."
        )
    found = (
        f"sentences and regions of a held-out report find each other in {true:.0%} of cases with the true image, "
        f"in {foreign:.0%} with another patient's and in {blank:.0%} with an empty one"
    )
    if blank > true - BLIND:
        return (
            f"This alignment does not need an image: {found}, so a fixed map from place to sentence explains it, and "
            "Eq. 4 says nothing for its heat maps."
        )
    if foreign > true - BLIND:
        return (
            f"This alignment does not need the patient's own image: {found}, so it knows where such things lie in "
            "anyone, and not what this scan shows."
        )
    return f"This alignment needs the image: {found}."


def compared(terms: Mapping[str, Term], recipe: Recipe) -> str:
    """Which terms depend on what shares a batch, and how much does; nothing where none does."""
    names = [name for name, term in terms.items() if term.compares_samples]
    if not names:
        return ""
    return f"Samples are compared in {', '.join(names)}: all {recipe.optim.batch} of a batch, however it is cut. "


def summary(rows: list[Row], terms: Sequence[str]) -> dict[str, Any]:
    """First and last tenth of the loss and of every term, the speed, what went wrong, what the monitor found last."""
    out: dict[str, Any] = {"steps": rows[-1]["step"]}
    if missing := rows[-1]["step"] - len(rows):
        out["rows_missing"] = missing
    out["steps_skipped"] = sum("skipped" in row for row in rows)
    out["studies_unread"] = len({study for row in rows for study in row.get("unread", {})})
    learned = [row for row in rows if "skipped" not in row]
    tenth = max(1, len(learned) // 10)
    for name in ("loss", *terms):
        out[f"{name}_first"] = sum(row[name] for row in learned[:tenth]) / tenth
        out[f"{name}_last"] = sum(row[name] for row in learned[-tenth:]) / tenth
    out["volumes_per_s"] = sorted(row["volumes_per_s"] for row in rows)[len(rows) // 2]
    out["data_wait"] = sum(row["data_wait"] for row in rows) / len(rows)
    shares = sorted(row["of_limit"] for row in rows if row.get("of_limit") is not None)
    out["of_limit"] = shares[len(shares) // 2] if shares else None
    out["peak_gb"] = max((row["peak_gb"] for row in rows if "peak_gb" in row), default=None)
    out |= rows[-1].get("monitored", {})
    return out
