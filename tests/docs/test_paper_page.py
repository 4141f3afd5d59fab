"""The page about the paper and the recipe say the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from simcrop.config import flat, load_recipe, recipe_text, setting_names

PAGE = Path(__file__).parents[2] / "docs" / "paper.md"
SOURCE = Path(__file__).parents[2] / "src" / "simcrop"
RECIPE = load_recipe("simcrop-paper")
VALUES = json.loads(json.dumps(flat(RECIPE)))


def rows() -> dict[str, list[str]]:
    """Of every table: the setting, then the other cells."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == 4 for row in cells)
    names = [row[0].strip("`") for row in cells]
    assert len(names) == len(set(names))
    return {name: row[1:] for name, row in zip(names, cells, strict=True)}


ROWS = rows()


def written(tree: dict[str, Any], name: str) -> bool:
    """Whether the recipe's file names a setting."""
    first, _, rest = name.partition(".")
    return first in tree and (not rest or written(tree[first], rest))


@pytest.mark.parametrize("name", ROWS)
def test_a_setting_on_the_page_exists_and_has_that_value_from_there(name: str) -> None:
    value, where, _ = ROWS[name]
    assert name in setting_names(type(RECIPE))
    assert yaml.safe_load(value.strip("`")) == VALUES[name]
    in_recipe = written(yaml.safe_load(recipe_text("simcrop-paper")), name)
    assert where == "recipe" if in_recipe else (SOURCE / where.strip("`")).is_file()


def test_all_that_the_recipe_claims_is_on_the_page() -> None:
    claim = RECIPE.claim
    assert set(claim.values) | set(claim.stand_ins) <= set(ROWS)
    for name, value in claim.values.items():
        assert yaml.safe_load(ROWS[name][0].strip("`")) == value, name
    marked = {name for name, row in ROWS.items() if "**differs**" in row[2]}
    assert marked == set(claim.stand_ins)
