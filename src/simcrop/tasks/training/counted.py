"""The count of a recipe's step, looked up where it is known and counted anew where it is not.

No axes; units as in `cost.py`. Counting takes a second or two. What is shipped is kept by a digest of all that the
count depends on, so that a recipe that was changed is counted anew, and one that differs in seed or length is not.
"""

import json
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import torch
import yaml

from simcrop.config import Recipe, build_recipe
from simcrop.objectives.method import MethodSettings
from simcrop.tasks.training.cost import Cost, cost_of

ORGAN_TEXTS = ("organs.descriptions", "organs.conclusions")  # files, which do not change what a step costs
COUNTED = {"method", "input", "text"}  # beside the settings of the method itself


def counted(recipe: Recipe) -> Cost:
    """Recipes that differ in seed, length, start, engine or files cost the same. Draws no random numbers."""
    return counted_once(json.dumps(tree_of(recipe), sort_keys=True))


def tree_of(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide what a step costs."""
    shared = set(Recipe.model_fields) - set(MethodSettings.model_fields) - COUNTED
    tree = {name: value for name, value in recipe.model_dump(mode="json").items() if name not in shared}
    for group, name in (setting.split(".") for setting in ORGAN_TEXTS):
        if group in tree:
            tree[group][name] = None
    return tree


@cache
def counted_once(text: str) -> Cost:
    if (known := shipped().get(digest(text))) is not None:
        return known
    with torch.random.fork_rng(devices=[]):
        return cost_of(build_recipe(json.loads(text), "a recipe"))


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@cache
def shipped() -> dict[str, Cost]:
    """By digest."""
    tree = yaml.safe_load(files("simcrop.speeds").joinpath("counts.yaml").read_text("utf-8"))
    return {row.pop("digest"): Cost(**row) for row in tree.values()}
