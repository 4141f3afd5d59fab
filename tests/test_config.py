"""Recipes: what the shipped ones say, and how a mistake in one is told."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from simcrop.config import (
    Recipe,
    build_recipe,
    defaults,
    flat,
    full_yaml,
    load_recipe,
    recipe_class,
    recipe_names,
    recipe_text,
    setting_names,
)
from simcrop.errors import SimcropError
from simcrop.objectives.registry import methods

RECIPES = {name: recipe_class(settings) for name, settings in methods().items()}


def refusal(source: str, *overrides: str) -> str:
    with pytest.raises(SimcropError) as refused:
        load_recipe(source, list(overrides))
    assert "\n" not in refused.value.sentence
    return refused.value.sentence


@pytest.mark.parametrize("value", ["", '""', "null", " "])
def test_an_empty_split_on_the_command_line_means_all(value: str) -> None:
    assert load_recipe("simcrop-tiny", [f"data.split={value}"]).data.split == ""


def test_paper_recipe_holds_the_papers_numbers() -> None:
    recipe = load_recipe("simcrop-paper")
    assert (recipe.vision.depth, recipe.vision.dim, recipe.vision.heads) == (8, 768, 12)
    assert (recipe.vision_decoder.depth, recipe.vision_decoder.dim) == (4, 768)
    assert (recipe.report_decoder.depth, recipe.report_decoder.dim) == (6, 768)
    assert (recipe.align.top_k, recipe.align.temperature, recipe.align.weight) == (64, 0.07, 1)
    assert (recipe.mim.mask_ratio, recipe.mlm.ratio, recipe.mlm.unit, recipe.mlm.weight) == (
        0.75,
        0.75,
        "word",
        1,
    )
    assert (recipe.optim.batch, recipe.optim.epochs, recipe.optim.warmup_epochs) == (48, 140, 40)
    assert (recipe.optim.lr, recipe.optim.weight_decay, recipe.optim.betas) == (1.5e-4, 0.05, (0.9, 0.95))
    assert recipe.input.spacing_mm == (1.5, 1.5, 3.0)
    assert recipe.input.window_hu == (-1000, 1000)
    assert recipe.input.grid.count == 2744
    assert recipe.text.freeze
    assert not recipe.align.cross_image.enabled
    assert not recipe.aug.flip_lr
    assert recipe.optim.clip_grad is None
    assert recipe.engine.precision == "auto"


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_its_full_form_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    copy = tmp_path / "copy.yaml"
    copy.write_text(full_yaml(recipe))
    assert load_recipe(str(copy)) == recipe
    assert set(yaml.safe_load(recipe_text(name))) <= set(type(recipe).model_fields)


SHARED = ("input.", "vision.", "optim.", "init.", "aug.", "data.", "engine.", "seed")
OWN_INPUT = ("segment", "simcrop-plus", "supervised-cnn")  # as docs/methods.md says


@pytest.mark.parametrize("name", [name for name in recipe_names() if not name.startswith(OWN_INPUT)])
def test_every_method_has_simcrops_input_encoder_and_optimiser(name: str) -> None:
    base = flat(load_recipe(f"simcrop-{name.rsplit('-', 1)[1]}"))
    ours = {of: value for of, value in flat(load_recipe(name)).items() if of.startswith(SHARED)}
    assert ours == {of: base[of] for of in ours}


def test_tiny_recipe_hides_as_much_and_aligns_about_a_tenth() -> None:
    recipe = load_recipe("simcrop-tiny")
    visible = recipe.input.grid.count * (1 - recipe.mim.mask_ratio)
    assert recipe.mim.mask_ratio == 0.75
    assert 0.08 < recipe.align.top_k / visible < 0.12


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("optim.lr=3e-4", "optim.lr", 3e-4),
        ("optim.steps=7", "optim.steps", 7),
        ("optim.steps=null", "optim.steps", None),
        ("seed=5", "seed", 5),
        ("data.workers=2", "data.workers", 2),
        ("checkpoint.every=9", "checkpoint.every", 9),
        ("engine.precision=fp32", "engine.precision", "fp32"),
        ("fusion.text_residual=false", "fusion.text_residual", False),
        ("align.cross_image=true", "align.cross_image.enabled", True),
        ("align.cross_image.enabled=true", "align.cross_image.enabled", True),
        ("optim.betas=[0.8, 0.9]", "optim.betas", (0.8, 0.9)),
        ("init.mae=/some/where.safetensors", "init.mae", "/some/where.safetensors"),
    ],
)
def test_override_reaches_its_setting_and_no_other(override: str, name: str, value: object) -> None:
    plain, changed = flat(load_recipe("simcrop-tiny")), flat(load_recipe("simcrop-tiny", [override]))
    assert changed.pop(name) == value
    plain.pop(name)
    assert changed == plain


def test_later_override_wins() -> None:
    assert load_recipe("simcrop-tiny", ["seed=1", "seed=2"]).seed == 2


def test_defaults_are_named_as_settings_are() -> None:
    recipe = load_recipe("simcrop-tiny")
    usual, set_here = defaults(type(recipe)), flat(recipe)
    assert set(usual) == set(set_here)
    assert usual["optim.epochs"] == 140 != set_here["optim.epochs"]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("optim.lrr=1", "optim.lr"),
        ("optim.step=1", "optim.steps"),
        ("aling.top_k=3", "align.top_k"),
        ("vision.dept=3", "vision.depth"),
        ("top_k=3", "align.top_k"),
    ],
)
def test_typo_is_answered_with_the_nearest_name(typo: str, meant: str) -> None:
    sentence = refusal("simcrop-paper", typo)
    assert "unknown setting" in sentence
    assert f"did you mean {meant}?" in sentence


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lr=-1", "optim.lr = -1"),
        ("optim.lr=fast", "optim.lr = 'fast'"),
        ("optim.lr=.inf", "optim.lr = inf"),
        ("optim.betas=[0.9, 1]", "optim.betas.1 = 1"),
        ("seed=1e23", "seed = 1e+23"),
        ("mim.mask_ratio=1", "mim.mask_ratio = 1"),
        ("optim.batch=2.5", "optim.batch = 2.5"),
        ("vision.pos_embed=rotary", "vision.pos_embed = 'rotary'"),
        ("input.shape=[224, 224]", "input.shape"),
        ("input.patch=[16, 16, 9]", "(16, 16, 9)"),
        ("input.window_hu=[100, -100]", "(100.0, -100.0)"),
        ("vision.heads=7", "vision.dim = 768 cannot be split among vision.heads = 7"),
        ("report_decoder.heads=7", "report_decoder.heads = 7"),
        ("fusion.heads=7", "fusion.heads = 7"),
        ("optim.lr.deep=3", "lr is a value, not a group"),
        ("optim.lr", "--set wants name=value, got 'optim.lr'"),
        ("optim.betas=[0.9", "is not a value"),
        ("data.split=2024-02-30", "'2024-02-30' is not a value"),
        ("method=mea", "method = 'mea' is not known, did you mean mae?"),
    ],
)
def test_bad_value_is_one_line_that_holds_the_name_and_the_value(override: str, message: str) -> None:
    assert message in refusal("simcrop-paper", override)


def test_several_mistakes_are_told_together() -> None:
    sentence = refusal("simcrop-paper", "optim.lr=-1", "vision.depth=0")
    assert "optim.lr" in sentence
    assert "vision.depth" in sentence


def test_fusion_of_nothing_is_refused() -> None:
    off = [f"fusion.{name}=false" for name in ("use_il", "use_wl", "text_residual")]
    assert "nothing is left to decode" in refusal("simcrop-paper", *off)


def test_unknown_recipe_is_answered_with_the_nearest_and_the_list() -> None:
    sentence = refusal("simcrop-papr")
    assert "did you mean simcrop-paper?" in sentence
    assert "recipe list" in sentence


def test_own_recipe_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 9\nvision: {depth: 2}\n")
    recipe = load_recipe(str(path), ["optim.batch=5"])
    assert (recipe.seed, recipe.vision.depth, recipe.vision.dim, recipe.optim.batch) == (9, 2, 768, 5)
    path.write_text("")
    assert load_recipe(str(path)) == build_recipe({}, "nothing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- 1\n- 2\n", "found list"),
        (b"a: [1", "is not YAML"),
        (b"seed: 2024-13-45", "is not YAML: month must be"),
        (b"\xff\xfe\x00", "cannot read"),
        (b"seed: x", "seed"),
    ],
)
def test_own_recipe_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    sentence = refusal(str(path))
    assert str(path) in sentence
    assert message in sentence


def test_recipe_file_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "nowhere.yaml" in refusal(str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize("kind", RECIPES.values(), ids=RECIPES)
def test_promised_settings_exist_in_every_method(kind: type[Recipe]) -> None:
    promised = {"seed", "data.workers", "optim.lr", "optim.batch", "optim.epochs", "optim.steps"}
    assert promised | {"checkpoint.every", "engine.precision"} <= set(setting_names(kind))


@pytest.mark.parametrize("method", RECIPES)
def test_method_decides_which_settings_there_are(method: str) -> None:
    recipe = build_recipe(
        {"method": method, **({"head": {"labels": ["a"]}} if method == "supervised" else {})}, "toy"
    )
    assert isinstance(recipe, methods()[method])
    assert recipe.method == method
    with pytest.raises(SimcropError, match=r"toy: unknown setting optim\.lrr, did you mean optim\.lr\?"):
        build_recipe({"method": method, "optim": {"lrr": 1}}, "toy")


def test_setting_of_another_method_is_unknown() -> None:
    assert "unknown setting align.top_k" in refusal("mae-tiny", "align.top_k=3")
    assert "unknown setting mim.mask_ratio" in refusal("ct-clip-tiny", "mim.mask_ratio=0.5")
    assert "did you mean contrast.dim?" in refusal("ct-clip-tiny", "contrast.dims=5")


@pytest.mark.parametrize("method", [["mae"], {"mae": 1}, None, 3, "SimCroP"])
def test_method_that_is_not_a_known_name_is_refused_with_those_that_are(method: object) -> None:
    with pytest.raises(SimcropError) as refused:
        build_recipe({"method": method}, "toy")
    assert all(name in refused.value.sentence for name in RECIPES)


@pytest.mark.parametrize("name", ["mae-tiny", "ct-clip-tiny", "supervised-tiny"])
def test_recipe_is_shown_as_it_is_shipped_and_in_full(simcrop: Callable[..., Any], name: str) -> None:
    assert simcrop("recipe", "show", name).out == recipe_text(name)
    assert f"method: {name.removesuffix('-tiny')}" in simcrop("recipe", "show", name, "--full").out
    assert name in simcrop("recipe", "list").out.split()


@pytest.mark.parametrize("name", ["simcrop-tiny", "supervised-tiny"])
def test_a_recipe_reaches_another_process_whole(name: str) -> None:
    recipe = load_recipe(name, ["seed=7"])
    again = pickle.loads(pickle.dumps(recipe))  # noqa: S301
    assert again == recipe
    assert isinstance(again, methods()[recipe.method])


def test_a_sentence_is_scored_by_as_many_patches_as_training_averaged() -> None:
    small = load_recipe("simcrop-plus-small")
    assert small.scored(small.input.grid.count) == 3  # top_share 0.0125 of 240
    assert load_recipe("simcrop-plus-tiny").scored(240) == 12
    eq4_alone, ct_clip = load_recipe("simcrop-paper"), load_recipe("ct-clip-paper")
    assert (
        eq4_alone.scored(240) == ct_clip.scored(240) == 12
    )  # where nothing is compared by patches, a twentieth
