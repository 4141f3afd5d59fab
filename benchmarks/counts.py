"""Counts anew what a step costs: of every shipped recipe and of every row of the paper's tables, at both sizes.

    python benchmarks/counts.py src/simcrop/speeds/counts.yaml

Takes a minute or two. Nothing is timed: the counts are the same on every machine. Where a recipe has changed and this
was not run, nothing is wrong: `simcrop.tasks.training.counted` counts what it does not find. Run it when counting
itself has.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from simcrop.config import Recipe, load_recipe, recipe_names
from simcrop.experiments.scale.tables import TABLES, made_up
from simcrop.experiments.tables.jobs import Training
from simcrop.experiments.tables.planning import plan
from simcrop.tasks.training.cost import cost_of
from simcrop.tasks.training.counted import digest, tree_of

HEAD = "# What a step costs, by recipe and by row of the tables. Made by: python benchmarks/counts.py FILE\n"


def main() -> None:
    lines, known = [HEAD], set()
    for name, recipe in wanted().items():
        number = digest(json.dumps(tree_of(recipe), sort_keys=True))
        if number not in known:
            known.add(number)
            values = {"digest": number, **asdict(cost_of(recipe))}
            inner = ", ".join(f"{key}: {value!r}" for key, value in values.items())
            lines.append(f"{name}: {{{inner}}}\n")
            print(name, file=sys.stderr)
    Path(sys.argv[1]).write_text("".join(lines))


def wanted() -> dict[str, Recipe]:
    """By name."""
    names = sorted(
        recipe_names(), key=lambda name: name.startswith("labels-first")
    )  # whose step is SimCroP's
    found = {name: load_recipe(name) for name in names}
    paper, _ = made_up(1)
    for setup in (paper, replace(paper, size="tiny")):
        for job in (job for table in TABLES for job in plan(table, setup)):
            if isinstance(job, Training):
                found.setdefault(f"{job.verb} {job.row}, {setup.size}", job.built)
    return found


if __name__ == "__main__":
    main()
