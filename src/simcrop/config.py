"""The root that joins all settings, and the recipes: small YAML files that a user prints, copies and edits."""

import json
from copy import deepcopy
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import Field, ValidationError, create_model

from simcrop.claim import ClaimSettings
from simcrop.engine.checkpoint import CheckpointSettings
from simcrop.engine.job import EngineSettings
from simcrop.engine.optim import OptimSettings
from simcrop.errors import SimcropError
from simcrop.files.yaml_text import NO_YAML, parse_yaml
from simcrop.groups import AugSettings, DataSettings, InitSettings, InputSettings, LogSettings, TextSettings
from simcrop.objectives.method import MethodSettings
from simcrop.objectives.registry import methods
from simcrop.settings import Settings


class Recipe(MethodSettings):
    """One training run, complete: print it, copy it, edit it. `method` decides which settings it has beside these."""

    method: str
    claim: ClaimSettings = ClaimSettings()
    seed: int = Field(default=42, ge=0, lt=2**63)
    input: InputSettings = InputSettings()
    data: DataSettings = DataSettings()
    text: TextSettings = TextSettings()
    init: InitSettings = InitSettings()
    aug: AugSettings = AugSettings()
    optim: OptimSettings = OptimSettings()
    engine: EngineSettings = EngineSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    log: LogSettings = LogSettings()

    def __reduce__(self) -> tuple[Any, ...]:
        """The class is made when it is asked for, so another process makes its own."""
        return build_recipe, (self.model_dump(mode="json"), "a recipe")

    @property
    def text_length(self) -> int:
        """Word pieces of one text that meets the image: a sentence, or a whole report."""
        whole = self.text_needs is not None and self.text_needs.unit != "sentence"
        return self.text.report_length if whole else self.text.sentence_length


@cache
def recipe_class(method: type[MethodSettings]) -> type[Recipe]:
    """The recipe of a method: its own settings beside those that every run has."""
    made = create_model(f"{method.__name__}Recipe", __base__=(method, Recipe), method=(str, method.name))
    return cast(type[Recipe], made)


def recipe_names() -> list[str]:
    """The shipped recipes."""
    return sorted(
        p.name.removesuffix(".yaml") for p in files("simcrop.recipes").iterdir() if p.name.endswith(".yaml")
    )


def recipe_text(name: str) -> str:
    """The YAML of a shipped recipe, as it is in the package."""
    if name not in recipe_names():
        raise SimcropError(
            "no-recipe", f"no recipe {name!r}{nearest(name, recipe_names())}; `simcrop recipe list`"
        )
    return files("simcrop.recipes").joinpath(f"{name}.yaml").read_text()


def load_recipe(source: str, overrides: list[str] | None = None) -> Recipe:
    """A shipped recipe by name or one's own by path, with `key.path=value` overrides applied."""
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8") if path.suffix in {".yaml", ".yml"} else recipe_text(source)
        tree = deepcopy(read_once(text)) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise SimcropError("no-recipe", f"cannot read the recipe {source}: {error}") from error
    except NO_YAML as error:
        raise SimcropError("bad-recipe", f"{source} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise SimcropError(
            "bad-recipe", f"{source} must hold `name: value` lines, found {type(tree).__name__}"
        )
    for override in overrides or []:
        put(tree, override)
    return build_recipe(tree, source)


@lru_cache(maxsize=64)
def read_once(text: str) -> Any:
    """What YAML says. A table asks for the same few recipes hundreds of times, and reading one costs 5 ms."""
    return parse_yaml(text)


def build_recipe(tree: dict[str, Any], source: str) -> Recipe:
    """A recipe of the method that `tree` names, SimCroP when it names none; every bad or unknown name in one line."""
    method = tree.get("method", "simcrop")
    known = methods()
    if not isinstance(method, str) or method not in known:
        hint = f"{nearest(str(method), list(known))} (there are {', '.join(known)})"
        raise SimcropError("bad-setting", f"{source}: method = {method!r} is not known{hint}")
    kind = recipe_class(known[method])
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        names = setting_names(kind)
        complaints = [complaint(e["loc"], e["msg"], e["type"], e["input"], names) for e in error.errors()]
        raise SimcropError("bad-setting", f"{source}: {'; '.join(complaints[:4])}") from error
    except SimcropError as error:
        raise SimcropError(error.reason, f"{source}: {error.sentence}") from error


def complaint(where: tuple[int | str, ...], message: str, kind: str, value: Any, known: list[str]) -> str:
    name = ".".join(map(str, where))
    if kind == "extra_forbidden":
        while isinstance(value, dict) and value:  # a whole group that is unknown: name the setting in it
            inner, value = next(iter(value.items()))
            name = f"{name}.{inner}"
        return f"unknown setting {name}{nearest(name, known)}"
    return f"{name} = {value!r}: {message[0].lower()}{message[1:]}"


def put(tree: dict[str, Any], override: str) -> None:
    """Apply one `a.b=value`; the value is read as YAML, so that `null`, numbers and lists work."""
    name, sign, value = override.partition("=")
    if not sign:
        raise SimcropError("bad-setting", f"--set wants name=value, got {override!r}")
    *parents, last = name.strip().split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise SimcropError("bad-setting", f"{name} does not exist: {parent} is a value, not a group")
    try:
        parsed = parse_yaml(value)
    except NO_YAML as error:
        raise SimcropError("bad-setting", f"--set {name}: {value!r} is not a value") from error
    tree[last] = float(parsed) if isinstance(parsed, str) and is_number(parsed) else parsed


def put_path(name: str, path: object) -> str:
    """`name=path` as `put` reads it back, with whatever is in the path: ` #` and `: ` mean something to YAML."""
    return f"{name}={json.dumps(str(path), ensure_ascii=False)}"


def is_number(text: str) -> bool:
    """YAML reads `3e-4` as text; people mean the number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def setting_names(model: type[Settings], prefix: str = "") -> list[str]:
    """Every `group.name` that a recipe of this kind has."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Settings):
            names += setting_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def nearest(name: str, known: list[str]) -> str:
    """`, did you mean ...?` or nothing."""
    found = get_close_matches(name, known, n=1, cutoff=0.5)
    found = found or get_close_matches(name.split(".")[-1], known, n=1, cutoff=0.4)
    return f", did you mean {found[0]}?" if found else ""


def flat(model: Settings, prefix: str = "") -> dict[str, Any]:
    """All settings as one level of `group.name: value`."""
    out: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        out.update(flat(value, f"{prefix}{name}.") if isinstance(value, Settings) else {prefix + name: value})
    return out


def defaults(kind: type[Settings], prefix: str = "") -> dict[str, Any]:
    """What `flat` gives where nothing is set, of all settings that need not be."""
    out: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if not field.is_required():
            value = field.get_default(call_default_factory=True)
            inner = isinstance(value, Settings)
            out |= flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return out


def free_settings(model: Settings, prefix: str = "") -> set[str]:
    """Those of `flat` that may change when a run is continued."""
    groups = {name: getattr(model, name) for name in type(model).model_fields}
    inner = (free_settings(g, f"{prefix}{name}.") for name, g in groups.items() if isinstance(g, Settings))
    return {prefix + name for name in model.free}.union(*inner)


def full_yaml(recipe: Recipe) -> str:
    """Every setting of a recipe, defaults included."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=100)
