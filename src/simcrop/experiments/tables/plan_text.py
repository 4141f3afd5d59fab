"""A plan in words: per row what is done, what is left, and what that costs. No axes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from simcrop.config import Recipe
from simcrop.experiments.speeds import speeds
from simcrop.experiments.tables.expense import GPU, Expense, Sizes, total
from simcrop.experiments.tables.jobs import Job


def seconds_on_a_core(spent: Expense, jobs: int, precision: str) -> float:
    """Of jobs at toy size, one after the other."""
    cores = speeds().cores
    return spent.gflop / cores.gflop_per_s(precision) + cores.start_s * jobs


def lines_of(
    table: str,
    jobs: Sequence[Job],
    encoder: Recipe,
    sizes: Sizes,
    missing: Mapping[str, str],
    precision: str | None,
    end: str,
    anew: bool = False,
) -> list[str]:
    """One line per row, the sums, and the data sets that are not there. `precision`: of cores, whose hours are then
    said, or None for those of a GPU; `end`: how long it takes here; `anew`: nothing that was done counts.
    """
    rows = dict.fromkeys(job.row for job in jobs)
    width, unit = max(map(len, [*rows, "row"])), "core" if precision else "GPU"

    def line(name: str, left: Sequence[Job]) -> str:
        spent = total(left, encoder, sizes, anew)
        took = seconds_on_a_core(spent, len(left), precision) / 3600 if precision else spent.gpu_hours
        begun = 0 if anew else sum(job.begun for job in left)
        words = (counts(left) or "nothing") + (f" ({begun} begun)" if begun else "")
        return f"{name:{width}}  {took:10.2f}  {size_words(spent.bytes_on_disk):>8}  {words}"

    lines = [f"{table}: {len(jobs)} jobs", f"{'row':{width}}  {unit + ' hours':>10}  {'disk':>8}  left to do"]
    left = [job for job in jobs if anew or not job.done]
    lines += [line(row, [job for job in left if job.row == row]) for row in rows]
    lines.append(line("all", left))
    if not precision:
        share = speeds().training.share(speeds().training.largest)
        lines.append(
            f"GPU hours: operations counted, at {share:.0%} of the product limit of an {GPU.upper()}."
        )
    return [*lines, *(f"no column {name}: {why}" for name, why in missing.items()), *([end] if end else [])]


def counts(jobs: Sequence[Job]) -> str:
    return ", ".join(f"{verb} {count}" for verb, count in Counter(job.verb for job in jobs).items())


def size_words(count: int) -> str:
    """`1.3 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
