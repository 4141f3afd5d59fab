"""What a step of a run costs: counted once, before the first one, and kept in `run.json`. No axes; units as `Cost`."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from simcrop.config import Recipe
from simcrop.files.whole import write_json
from simcrop.tasks.folder import RUN, read_run
from simcrop.tasks.training.cost import Cost
from simcrop.tasks.training.counted import counted

COST = "cost"


def kept_cost(recipe: Recipe, out: Path) -> Cost | None:
    """Of a run in `out`: what its `run.json` says, else counted and written down there; None where nobody can count."""
    run = read_run(out) or {}
    if COST in run and run[COST] is None:
        return None
    with suppress(TypeError, KeyError):  # none yet, or one of another simcrop, which counted other things
        return Cost(**run[COST])
    try:
        cost = counted(recipe)
    except Exception:  # noqa: BLE001
        # A method of one's own may do what cannot be counted without numbers: that is no reason to end a run.
        cost = None
    write_json(out / RUN, {**run, COST: None if cost is None else asdict(cost)})
    return cost
