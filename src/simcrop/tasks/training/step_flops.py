"""The operations of a run's step: counted once, before the first one, and kept in `run.json`.

No axes. FLOPs of a sample, forward and backward, in products and convolutions.
"""

from pathlib import Path

from simcrop.config import Recipe
from simcrop.files.whole import write_json
from simcrop.tasks.folder import RUN, read_run
from simcrop.tasks.training.counted import counted

FLOPS = "flops_per_sample"


def step_flops(recipe: Recipe, out: Path) -> float | None:
    """Of a run in `out`: what its `run.json` says, else counted and written down there; None where nobody can count."""
    run = read_run(out) or {}
    if FLOPS in run:
        return run[FLOPS]
    try:
        flops = counted(recipe).gflop_per_scan * 1e9
    except Exception:  # noqa: BLE001
        # A method of one's own may do what cannot be counted without numbers: that is no reason to end a run.
        flops = None
    write_json(out / RUN, {**run, FLOPS: flops})
    return flops
