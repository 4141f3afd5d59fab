"""The root that joins all settings, and the recipes: small YAML files that a user prints, copies and edits."""

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import yaml
from pydantic import Field, ValidationError, create_model, field_validator, model_validator

from simcrop.claim import ClaimSettings
from simcrop.data.preprocess import Centre, InputSpec
from simcrop.data.samples.tokenizer import REPORT_LENGTH, SENTENCE_LENGTH
from simcrop.engine.checkpoint import CheckpointSettings
from simcrop.engine.fit import EngineSettings
from simcrop.engine.optim import OptimSettings
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.objectives.method import MethodSettings
from simcrop.objectives.registry import methods
from simcrop.settings import Settings

Triple = tuple[int, int, int]


class InputSettings(Settings):
    """The network's input. Lengths in mm or voxels `(x, y, z)`: right, front, up.

    `antialias`: scans are averaged where their voxels grow, instead of plain trilinear interpolation; their cohort must
    have been ingested alike. `centre`: whether the input is cut around the middle of the scan, or around that of the
    lungs where they are found, which matters where patients lie differently in the field of view.
    """

    spacing_mm: tuple[float, float, float] = (1.5, 1.5, 3.0)
    shape: Triple = (224, 224, 112)
    window_hu: tuple[float, float] = (-1000.0, 1000.0)
    antialias: bool = False
    centre: Centre = "scan"
    patch: Triple = (16, 16, 8)

    @model_validator(mode="after")
    def fits_together(self) -> "InputSettings":
        """Both refuse what cannot be built."""
        _ = self.spec, self.grid
        return self

    @property
    def spec(self) -> InputSpec:
        return InputSpec(self.spacing_mm, self.shape, self.window_hu, self.antialias, self.centre)

    @property
    def grid(self) -> PatchGrid:
        return PatchGrid(self.shape, self.patch)

    @property
    def patch_mm(self) -> tuple[float, float, float]:
        """Edges of one patch."""
        x, y, z = (v * mm for v, mm in zip(self.patch, self.spacing_mm, strict=True))
        return x, y, z


class TextSettings(Settings):
    """`model`: `minilm`, the encoder that the package brings along, or a folder such as CXR-BERT's.

    Lengths in word pieces, specials included. Frozen features of sentences are cached once per cohort.
    """

    free: ClassVar = frozenset({"cache_sentences"})

    model: str = "minilm"
    freeze: bool = True
    cache_sentences: bool = True
    report_length: int = Field(default=REPORT_LENGTH, ge=3, le=REPORT_LENGTH)
    sentence_length: int = Field(default=SENTENCE_LENGTH, ge=3, le=REPORT_LENGTH)


class InitSettings(Settings):
    """Where the encoder starts. `mae`: a safetensors file of a 2D MAE ViT; `patch_embed`: what becomes of its 2D patch
    embedding (`mean_inflate` sums the colours and spreads them over the depth; `skip` leaves ours; `pca` starts from
    the principal components of the cohort's own patches, with or without `mae`).

    `model`: a run or model folder whose vision encoder this one starts from; the other settings here are about another
    start and then not used.

    `position = centred`, for learned positions: from each is taken away what the embedding makes of the training scans'
    mean patch there, so that a token first says how a patch differs from what is usual at its place.

    `attention_out`: our extension: the output of each attention layer starts multiplied by this. At zero a layer adds
    nothing and every token speaks of its own patch at first, so that a sentence is tied to the patches that show its
    finding before tokens mix.
    """

    mae: str | None = None
    model: str | None = None
    patch_embed: Literal["mean_inflate", "skip", "pca"] = "mean_inflate"
    position: Literal["sines", "centred"] = "sines"
    attention_out: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def is_one_start(self) -> "InitSettings":
        if self.mae is not None and self.model is not None:
            raise ValueError("init.mae and init.model exclude one another: weights come from one place")
        return self


class AugSettings(Settings):
    """`crop`: where a larger scan is cut; `shifted`: in the centre, or by chance half a patch before it along an axis.
    Left-right flips are off: reports name sides."""

    crop: Literal["random", "centre", "shifted"] = "random"
    flip_lr: bool = False


class DataSettings(Settings):
    """`workers`: loading processes per training process. `split`: which studies to train on (empty: all); `share`: of
    their patients, drawn by the seed, so that a larger share holds the smaller one.

    `mispaired`: a control, never for use: each report is paired with the scan of another study, so that nothing about a
    scan can be learned from its report.

    `unreadable`: what share of the studies may turn out to be gone or damaged in the course of a run; each time another
    one takes the place, and the journal says so.
    """

    free: ClassVar = frozenset({"workers", "unreadable"})

    workers: int = Field(default=0, ge=0)
    unreadable: float = Field(default=0.001, ge=0, le=1)
    split: str = "train"
    share: float = Field(default=1.0, gt=0, le=1)
    mispaired: bool = False

    @field_validator("split", mode="before")
    @classmethod
    def empty_means_all(cls, value: object) -> object:
        """`--set data.split=` and a bare `split:` are nothing to YAML."""
        return "" if value is None else value


class Recipe(MethodSettings):
    """One training run, complete: print it, copy it, edit it. `method` decides which settings it has beside these."""

    method: str
    claim: ClaimSettings = ClaimSettings()
    seed: int = Field(default=42, ge=0)
    input: InputSettings = InputSettings()
    data: DataSettings = DataSettings()
    text: TextSettings = TextSettings()
    init: InitSettings = InitSettings()
    aug: AugSettings = AugSettings()
    optim: OptimSettings = OptimSettings()
    engine: EngineSettings = EngineSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

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
        tree = yaml.safe_load(text) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise SimcropError("no-recipe", f"cannot read the recipe {source}: {error}") from error
    except yaml.YAMLError as error:
        raise SimcropError("bad-recipe", f"{source} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise SimcropError(
            "bad-recipe", f"{source} must hold `name: value` lines, found {type(tree).__name__}"
        )
    for override in overrides or []:
        put(tree, override)
    return build_recipe(tree, source)


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
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SimcropError("bad-setting", f"--set {name}: {value!r} is not a value") from error
    tree[last] = float(parsed) if isinstance(parsed, str) and is_number(parsed) else parsed


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


def free_settings(model: Settings, prefix: str = "") -> set[str]:
    """Those of `flat` that may change when a run is continued."""
    groups = {name: getattr(model, name) for name in type(model).model_fields}
    inner = (free_settings(g, f"{prefix}{name}.") for name, g in groups.items() if isinstance(g, Settings))
    return {prefix + name for name in model.free}.union(*inner)


def full_yaml(recipe: Recipe) -> str:
    """Every setting of a recipe, defaults included."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=100)
