"""A plan in words: per row what is done, what is left, and what that costs. No axes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from simcrop.config import Recipe
from simcrop.experiments.tables.expense import CORE_GFLOPS, CORE_START_S, Expense, Sizes, total
from simcrop.experiments.tables.jobs import Job

DRAW_S = 0.2  # of a core, per phantom patient: drawn, and ingested


def seconds_on_a_core(spent: Expense, jobs: int, precision: str) -> float:
    """Of jobs at toy size, one after the other."""
    return spent.gflop / CORE_GFLOPS[precision] + CORE_START_S * jobs


def lines_of(
    table: str, jobs: Sequence[Job], encoder: Recipe, sizes: Sizes, missing: Mapping[str, str], end: str
) -> list[str]:
    """One line per row, the sums, and the data sets that are not there; `end`: how long it takes here."""
    rows = list(dict.fromkeys(job.row for job in jobs))
    width = max(map(len, [*rows, "row"]))
    lines = [f"{table}: {len(jobs)} jobs", f"{'row':{width}}  {'GPU hours':>9}  {'disk':>8}  left to do"]
    for row in rows:
        mine = [job for job in jobs if job.row == row]
        left = [job for job in mine if not job.done]
        spent = total(left, encoder, sizes)
        words = counts(left) + (f" ({sum(job.begun for job in left)} begun)" if any_begun(left) else "")
        lines.append(
            f"{row:{width}}  {spent.gpu_hours:9.2f}  {size_words(spent.bytes_on_disk):>8}  {words or 'nothing'}"
        )
    left = [job for job in jobs if not job.done]
    spent = total(left, encoder, sizes)
    lines.append(
        f"{'all':{width}}  {spent.gpu_hours:9.2f}  {size_words(spent.bytes_on_disk):>8}  {counts(left)}"
    )
    lines.append("GPU hours: operations counted, at 40 % of an H200's dense bf16 limit.")
    return [*lines, *(f"no column {name}: {why}" for name, why in missing.items()), *([end] if end else [])]


def any_begun(jobs: Sequence[Job]) -> bool:
    return any(job.begun for job in jobs)


def counts(jobs: Sequence[Job]) -> str:
    return ", ".join(f"{verb} {count}" for verb, count in Counter(job.verb for job in jobs).items())


def size_words(count: int) -> str:
    """`1.3 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
