"""Labels that are asked for in words, and the other options of the alignment, from a cohort to a model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from simcrop.config import Recipe, build_recipe
from simcrop.data.store.cohort import open_cohort
from simcrop.engine.journal import read_journal
from simcrop.errors import SimcropError
from simcrop.model import load
from simcrop.tasks.training.components import gather_inputs, with_known_labels
from simcrop.tasks.training.pretrain import pretrain

CROSS = {"enabled": True, "top_share": 0.1}


@pytest.fixture
def recipe_of(toy_tree: dict[str, Any]) -> Callable[..., Recipe]:
    """The toy recipe with these options of the alignment, and two steps."""

    def recipe(freeze: bool = True, **options: Any) -> Recipe:
        groups = {
            "align": toy_tree["align"] | {"cross_image": CROSS} | options,
            "text": toy_tree["text"] | {"freeze": freeze},
            "optim": toy_tree["optim"] | {"steps": 2},
            "aug": {"crop": "shifted"},
        }
        return build_recipe(toy_tree | groups, "toy")

    return recipe


def test_prompts_are_the_protocols_and_weights_the_cohorts(
    toy_cohort: Path, recipe_of: Callable[..., Recipe]
) -> None:
    cohort = open_cohort(toy_cohort)
    recipe = with_known_labels(recipe_of(prompts={"enabled": True, "protocol": "radfinder-t3"}), cohort)
    assert recipe.label_names == tuple(cohort.labels)
    inputs = gather_inputs(cohort, cohort, recipe)
    prompts, text = inputs.components.prompts, inputs.components.text
    assert prompts is not None
    assert text is not None
    for number, label in enumerate(cohort.labels):
        for side, words in enumerate((f"There is {label}.", f"There is no {label}.")):
            tokens = inputs.components.reader[1].encode([words], recipe.text_length)
            vector = text.pool(text(tokens.ids, tokens.mask), tokens.mask, "cls")[0]
            torch.testing.assert_close(prompts.features[side, 0, number], vector, rtol=1e-4, atol=1e-5)
        values = [study.labels[label] for study in cohort]
        has, lacks = values.count(1), values.count(0)
        assert prompts.rarer[number].item() == pytest.approx(lacks / has if has else 0)


@pytest.mark.parametrize(
    ("freeze", "prompts", "words"),
    [
        (False, {}, "needs a frozen text encoder"),
        (True, {"protocol": "hlip"}, "leave none of the labels out"),
        (True, {"protocol": "radfindr"}, "did you mean radfinder"),
    ],
)
def test_what_cannot_ask_is_refused_in_one_line(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], freeze: bool, prompts: dict, words: str
) -> None:
    cohort = open_cohort(toy_cohort)
    recipe = with_known_labels(recipe_of(freeze, prompts={"enabled": True} | prompts), cohort)
    with pytest.raises(SimcropError, match=words) as refusal:
        gather_inputs(cohort, cohort, recipe)
    assert "\n" not in refusal.value.sentence


def test_all_options_train_a_model_that_holds_none_of_them(
    toy_cohort: Path, recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = recipe_of(opposite=True, prompts=True, level=True)
    assert pretrain(toy_cohort, recipe, tmp_path / "run").finished
    row = read_journal(tmp_path / "run" / "journal.jsonl")[-1]
    assert all(row[name] > 0 for name in ("opposite", "prompts", "level"))
    model, volume = load(tmp_path / "run"), open_cohort(toy_cohort)[0].volume()
    assert not any("options" in name for name, _ in model.named_parameters())
    assert len(model.ground(volume, ["no effusion."])) == 1
    with pytest.raises(SimcropError, match="learns no labels"):
        model.scores(volume)
