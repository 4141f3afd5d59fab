"""What the command line asks of a table, and what does not go together. No axes; `budget` in minutes."""

from dataclasses import dataclass
from math import inf
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.experiments.tables.rows import Size

SEEDS = 3  # unless asked otherwise


@dataclass(frozen=True)
class TableOptions:
    """What the command line says. `budget`: minutes; `only`: a row, or ROW/SEED; None where nothing was said."""

    data: Path | None = None
    seeds: int | None = None
    budget: float | None = None
    size: Size | None = None
    common: tuple[str, ...] = ()
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False
    slurm: bool = False
    only: str | None = None


def refuse_what_does_not_go_together(asked: TableOptions) -> None:
    if asked.budget is not None and not 0 < asked.budget < inf:
        raise SimcropError("bad-setting", f"--budget {asked.budget:g}: expected minutes above 0")
    if asked.data is not None and asked.budget is not None:
        raise SimcropError(
            "bad-setting",
            "--budget is for phantoms: on real data the recipes say how long each method is trained",
        )
    if asked.data is None and asked.slurm:
        raise SimcropError(
            "bad-setting",
            "--slurm wants --data: phantoms are chosen on before their test is opened, in one process",
        )
    if asked.data is None and asked.only is not None:
        raise SimcropError("bad-setting", "--only wants --data: on phantoms all rows are chosen for together")
    if asked.data is None and asked.size == "paper":
        raise SimcropError("bad-setting", "--size paper wants --data: phantoms are of size tiny")
