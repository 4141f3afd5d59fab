"""`simcrop methods`: every method, what it asks for and what a step of it costs, as a table.

No axes. Operations in 10^9 per scan, parameters in millions, memory in GiB.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Any, Literal

from simcrop.config import load_recipe, recipe_names
from simcrop.objectives.method import Account
from simcrop.objectives.registry import methods
from simcrop.tasks.training.cost import Cost
from simcrop.tasks.training.counted import counted

Size = Literal["paper", "tiny"]

# Of the columns; with two blanks between them 120 characters, as wide as a terminal may be expected to be.
WIDTHS = {
    "method": 14,
    "hides": 16,
    "contrasts": 22,
    "reads": 10,
    "needs": 12,
    "GFLOP": 6,
    "learn, M": 6,
    "kept, M": 6,
    "scan, GiB": 5,
    "rest, GiB": 5,
}
LEGEND = (
    "GFLOP: a training step's matrix products and convolutions, forward and backward, for each scan (segment: each "
    "window). learn, kept: millions of parameters that learn, and that a model keeps. scan, rest: memory for each scan "
    "of a batch, and for weights and optimiser, in bf16, at least. Reports have the median length of CT-RATE's."
)


@dataclass(frozen=True)
class Described:
    """A method, and what its shipped recipe costs."""

    method: str
    recipe: str
    verb: str
    account: Account
    cost: Cost

    @property
    def as_tree(self) -> dict[str, Any]:
        """For a program."""
        names = {"method": self.method, "recipe": self.recipe, "verb": self.verb}
        return {**names, **asdict(self.account), **asdict(self.cost)}


def described(size: Size) -> list[Described]:
    """Those that have a recipe of this size, by name."""
    known = methods()
    return [
        Described(name, recipe, known[name].verb, known[name].account, counted(load_recipe(recipe)))
        for name in known
        if (recipe := recipe_of(name, size)) is not None
    ]


def recipe_of(method: str, size: Size) -> str | None:
    """The shipped recipe, the first where there is one for each of several data sets."""
    wanted = f"{method}-{size}"
    return next((name for name in recipe_names() if f"{name}-".startswith(f"{wanted}-")), None)


def as_text(rows: Sequence[Described]) -> str:
    """Columns side by side, each cell in as many lines as it needs."""
    lines = [*laid_out(list(WIDTHS)), "-" * (sum(WIDTHS.values()) + 2 * (len(WIDTHS) - 1))]
    for row in rows:
        lines += [*laid_out(cells(row)), ""]
    return "\n".join([*lines, *wrap(LEGEND, 120)])


def cells(row: Described) -> list[str]:
    told, cost = row.account, row.cost
    operations = f"{cost.gflop_per_scan:,.0f}" if cost.gflop_per_scan >= 100 else f"{cost.gflop_per_scan:.3g}"
    millions = [f"{count / 1e6:.1f}" for count in (cost.trained, cost.kept)]
    memory = [f"{count / 2**30:.2f}" for count in (cost.bytes_per_scan, cost.bytes_fixed)]
    words = [told.hides, told.contrasts, told.reads, told.needs]
    return [row.method, *(word or "-" for word in words), operations, *millions, *memory]


def laid_out(row: Sequence[str]) -> list[str]:
    """The lines of one row."""
    columns = [wrap(cell, width) for cell, width in zip(row, WIDTHS.values(), strict=True)]
    return [
        "  ".join(part.ljust(width) for part, width in zip(parts, WIDTHS.values(), strict=True)).rstrip()
        for parts in zip_longest(*columns, fillvalue="")
    ]
