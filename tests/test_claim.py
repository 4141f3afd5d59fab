"""A run says in what it is not what its recipe claims to follow, and how to mend it; without a claim, nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from simcrop.claim import differences
from simcrop.config import build_recipe, flat, load_recipe, recipe_names
from simcrop.errors import SimcropError
from simcrop.tasks.training.pretrain import pretrain

FILES = ["init.mae=mae/mae.safetensors", "text.model=cxr-bert"]


def of_paper(*overrides: str) -> list[str]:
    return differences(flat(load_recipe("simcrop-paper", list(overrides))))


def test_paper_recipe_lacks_two_files_and_names_the_commands_that_make_them() -> None:
    mae, text = of_paper()
    assert mae.startswith("init.mae = null, there the ImageNet-1K weights of MAE")
    assert "simcrop weights import mae-imagenet" in mae
    assert FILES[0] in mae
    assert text.startswith('text.model = "minilm", there CXR-BERT')
    assert "simcrop weights import cxr-bert" in text
    assert FILES[1] in text
    assert of_paper(*FILES) == []


def test_a_setting_changed_by_hand_is_a_difference_and_a_free_one_is_none() -> None:
    assert of_paper(*FILES, "optim.lr=3e-4", "input.window_hu=[-1000, 400]") == [
        "input.window_hu = [-1000.0, 400.0], there [-1000,1000]: --set input.window_hu=[-1000,1000]",
        "optim.lr = 0.0003, there 0.00015: --set optim.lr=0.00015",
    ]
    assert of_paper(*FILES, "data.workers=2", "optim.lr=0.00015", "checkpoint.every=7") == []


@pytest.mark.parametrize("name", sorted({*recipe_names()} - {"simcrop-paper"}))
def test_recipe_that_claims_nothing_differs_from_nothing(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.claim.source == ""
    assert differences(flat(recipe)) == []


def test_claim_about_a_setting_that_is_not_there_is_refused() -> None:
    with pytest.raises(SimcropError, match=r"claim: there is no setting optim\.lrr"):
        differences({"claim.values": {"optim.lrr": 1}, "optim.lr": 1})


@pytest.mark.parametrize("claims", [True, False])
def test_run_says_it_on_stderr_in_its_record_and_on_its_page(
    toy_tree: dict[str, Any],
    toy_cohort: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    claims: bool,
) -> None:
    tree = {**toy_tree, "optim": {**toy_tree["optim"], "steps": 1}}
    if claims:
        stand_ins = {"init.mae": {"value": None, "wanted": "a start", "mend": "fetch it"}}
        values = {"optim.batch": 64, "optim.lr": 3e-3}
        tree["claim"] = {"source": "Somebody 2025", "values": values, "stand_ins": stand_ins}
    pretrain(toy_cohort, build_recipe(tree, "toy"), tmp_path / "run")
    lines = ["optim.batch = 4, there 64: --set optim.batch=64", "init.mae = null, there a start: fetch it"]
    told = [line for line in capsys.readouterr().err.splitlines() if "not as in" in line]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    page = (tmp_path / "run" / "report.html").read_text()
    assert told == [f"pretrain: not as in Somebody 2025: {line}" for line in lines] * claims
    assert record["differences"] == lines * claims
    assert all((line in page) is claims for line in lines)
