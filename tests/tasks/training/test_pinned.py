"""A run goes on with the text encoder and the texts that it began with, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.config import Recipe, build_recipe, load_recipe
from simcrop.errors import SimcropError
from simcrop.tasks.folder import RUN
from simcrop.tasks.training.pinned import pinned
from simcrop.tasks.training.pretrain import pretrain


@pytest.fixture
def bert(tmp_path: Path, write_bert: Callable[..., Path]) -> Path:
    """A text encoder that may be replaced."""
    return write_bert(tmp_path / "bert")


@pytest.fixture
def recipe(toy_tree: dict[str, Any], bert: Path) -> Recipe:
    text = {**toy_tree["text"], "model": str(bert), "cache_sentences": False}
    optim = {**toy_tree["optim"], "steps": 1}
    return build_recipe({**toy_tree, "text": text, "optim": optim}, "toy")


def other_weights(bert: Path, write_bert: Callable[..., Path]) -> None:
    write_bert(bert, lambda state: {name: tensor + 0.1 for name, tensor in state.items()})


def other_vocabulary(bert: Path, write_bert: Callable[..., Path]) -> None:
    del write_bert
    listed = bert / "vocab.txt"
    *pieces, last, beforehand = listed.read_text().split()
    listed.write_text("".join(f"{piece}\n" for piece in (*pieces, beforehand, last)))


def other_config(bert: Path, write_bert: Callable[..., Path]) -> None:
    del write_bert
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.1}))


@pytest.mark.parametrize(
    ("replace", "named"),
    [
        (other_weights, "digests.text.encoder"),
        (other_config, "digests.text.encoder"),
        (other_vocabulary, "digests.text.vocabulary"),
    ],
)
def test_a_run_does_not_go_on_with_another_text_encoder_at_the_same_place(
    toy_cohort: Path,
    recipe: Recipe,
    bert: Path,
    write_bert: Callable[..., Path],
    tmp_path: Path,
    replace: Callable,
    named: str,
) -> None:
    pretrain(toy_cohort, recipe, tmp_path / "run")
    assert pretrain(toy_cohort, recipe, tmp_path / "run", resume=True).finished
    replace(bert, write_bert)
    with pytest.raises(SimcropError, match=rf"started with other settings \({named}\)"):
        pretrain(toy_cohort, recipe, tmp_path / "run", resume=True)


def test_a_run_of_an_older_simcrop_goes_on_and_is_held_to_what_it_then_reads(
    toy_cohort: Path, recipe: Recipe, bert: Path, write_bert: Callable[..., Path], tmp_path: Path
) -> None:
    pretrain(toy_cohort, recipe, tmp_path / "run")
    told = json.loads((tmp_path / "run" / RUN).read_text())
    told["settings"] = {name: of for name, of in told["settings"].items() if not name.startswith("digests.")}
    (tmp_path / "run" / RUN).write_text(json.dumps(told))
    assert pretrain(toy_cohort, recipe, tmp_path / "run", resume=True).finished
    other_weights(bert, write_bert)
    with pytest.raises(SimcropError, match=r"digests\.text\.encoder"):
        pretrain(toy_cohort, recipe, tmp_path / "run", resume=True)


def forget(run: Path, *names: str) -> None:
    """As if these settings had not existed when it was begun."""
    told = json.loads((run / RUN).read_text())
    told["settings"] = {name: of for name, of in told["settings"].items() if name not in names}
    (run / RUN).write_text(json.dumps(told))


def test_a_setting_that_is_newer_than_a_run_ends_it_only_where_it_is_set(
    toy_cohort: Path, recipe: Recipe, tmp_path: Path
) -> None:
    pretrain(toy_cohort, recipe, tmp_path / "run")
    forget(tmp_path / "run", "optim.schedule", "optim.clip_grad")
    assert pretrain(toy_cohort, recipe, tmp_path / "run", resume=True).finished
    forget(tmp_path / "run", "optim.schedule", "optim.clip_grad")
    other = recipe.model_copy(update={"optim": recipe.optim.model_copy(update={"schedule": "poly"})})
    with pytest.raises(SimcropError, match=r"started with other settings \(optim\.schedule\)"):
        pretrain(toy_cohort, other, tmp_path / "run", resume=True)


def test_texts_by_organ_are_pinned_and_a_missing_file_is_one_line(bert: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.json" for name in ("descriptions", "conclusions")}
    places = [f"organs.{name}={path}" for name, path in files.items()]
    fvlm = load_recipe("fvlm-tiny", [f"text.model={bert}", *places])
    with pytest.raises(SimcropError, match=r"descriptions\.json: cannot be read: No such file") as refused:
        pinned(fvlm)
    assert "\n" not in refused.value.sentence
    for path in files.values():
        path.write_text("{}")
    before = pinned(fvlm)
    files["conclusions"].write_text('{"a": {}}')
    after = pinned(fvlm)
    assert {name for name in before if before[name] != after[name]} == {"digests.organs.conclusions"}


def test_of_what_a_method_does_not_read_nothing_is_pinned(bert: Path) -> None:
    assert pinned(load_recipe("mae-tiny", ["text.model=/nowhere"])) == {}
    assert set(pinned(load_recipe("mrm-tiny", [f"text.model={bert}"]))) == {"digests.text.vocabulary"}


def test_sentences_that_ask_for_labels_are_pinned_by_what_they_say(
    toy_tree: dict[str, Any], bert: Path, tmp_path: Path
) -> None:
    asking = tmp_path / "asking.yaml"

    def pins(template: str, note: str = "") -> dict[str, str]:
        asking.write_text(f"whose: ours\ntemplates: [['{template}', 'No {{label}}.']]\nnote: '{note}'\n")
        align = {
            "cross_image": {"enabled": True, "top_share": 0.1},
            "prompts": {"enabled": True, "protocol": str(asking)},
        }
        groups = {"align": toy_tree["align"] | align, "text": toy_tree["text"] | {"model": str(bert)}}
        return pinned(build_recipe(toy_tree | groups, "toy"))

    before = pins("There is {label}.")
    assert pins("There is {label}.", "another note") == before
    after = pins("{label}.")
    assert {name for name in before if before[name] != after[name]} == {"digests.align.prompts.protocol"}
