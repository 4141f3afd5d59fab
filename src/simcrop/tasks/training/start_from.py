"""An encoder that starts from other weights, and what is written down of it: every key, loaded or not.

No axes or units.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from simcrop.config import Recipe, build_recipe, flat
from simcrop.engine.checkpoint import STATE
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.tensors import load_state
from simcrop.groups import InitSettings
from simcrop.model.folder import CONFIG, WEIGHTS, model_folder, read_config
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.vit import ViT
from simcrop.objectives.method import Objective
from simcrop.weights.mae import load_mae

VISION = "vision."


@dataclass(frozen=True)
class Start:
    """What `run.json` and the page say of it. `source`: the setting; `loaded`: names of ours that were set; `skipped`:
    names of the file that were not wanted; `new`: parts of ours that no file holds; `parent`: of a model, what it is
    known to come from, and the split that it learned from.
    """

    source: str
    sha256: str
    loaded: list[str]
    skipped: list[str]
    new: list[str]
    notes: list[str]
    parent: dict[str, Any] | None = None

    @property
    def record(self) -> dict[str, Any]:
        return asdict(self)


def origin_of(start: Mapping[str, Any]) -> dict[str, Any]:
    """What a model keeps of it."""
    return {name: start[name] for name in ("source", "sha256", "parent")}


def lines_of(start: Mapping[str, Any]) -> list[str]:
    """The same in words: a line with the counts, then what was otherwise than expected."""
    counts = f"{len(start['loaded'])} tensors loaded, {len(start['skipped'])} of the file left aside"
    new = f"; new: {', '.join(start['new'])}" if start["new"] else ""
    return [f"starts from {start['source']}: {counts}{new}", *start["notes"]]


def from_mae(objective: Objective, vision: ViT, recipe: Recipe, file: str) -> Start:
    """2D weights of ImageNet."""
    done = load_mae(vision, Path(file), recipe.init.patch_embed)
    loaded = [VISION + name for name in done.loaded]
    digest = digest_of_files(Path(file))
    return Start(f"init.mae = {file}", digest, loaded, done.skipped, untouched(objective, loaded), [])


def from_model(objective: Objective, recipe: Recipe, path: str) -> Start:
    """The encoder of another run, or of a model folder; of that model nothing else. What is usual at each place (an
    atlas, a stem of statistics) is a part of the encoder and comes with it. Learned positions are interpolated where
    the grid is another, sines are those of the new grid.
    """
    folder = model_folder(Path(path).expanduser())
    config = read_config(folder)
    there = build_recipe(config["architecture"], str(folder / CONFIG))
    refuse_other_encoder(recipe, there, path)
    every = tensors_of(folder / WEIGHTS)
    kept = {name: there.kept_as(name) if (folder / STATE).is_file() else name for name in every}
    taken = {name: as_.removeprefix(VISION) for name, as_ in kept.items() if as_ and as_.startswith(VISION)}
    state = {as_: every[name] for name, as_ in taken.items()}
    encoder = there.vision.build(there.input.grid)
    load_state(encoder, state, None, f"{folder}: the weights of the encoder, by its config.json,")
    state = fitted(encoder, objective.vision)
    load_state(objective.vision, state, None, f"{path}: the weights of the encoder")
    loaded = sorted(VISION + name for name in state)
    return Start(
        f"init.model = {path}",
        digest_of_files(folder / WEIGHTS, folder / CONFIG),
        loaded,
        sorted(every.keys() - taken.keys()),
        untouched(objective, loaded),
        [*changed_input(recipe, there, "position" in taken.values()), *unused(recipe.init)],
        parent_of(config),
    )


def parent_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a model that starts from this one, by its `config.json`, keeps of it."""
    return {
        "provenance": config.get("provenance"),
        "split": build_recipe(config["architecture"], CONFIG).data.split,
    }


def started_from(path: str) -> dict[str, Any]:
    """What the `config.json` of a model that starts from there will say of whom others have seen before it."""
    config = read_config(model_folder(Path(path).expanduser()))
    return {"provenance": {"start": {"parent": parent_of(config)}}}


def fitted(encoder: VisionEncoder, ours: VisionEncoder) -> dict[str, Tensor]:
    """Its state as ours has it: on our grid, and with sines as the start of learned positions."""
    if isinstance(encoder, ViT) and encoder.grid != ours.grid:
        encoder = encoder.on_grid(ours.grid)
    state = encoder.state_dict()
    if isinstance(encoder, ViT) and "position" in ours.state_dict():
        state["position"] = encoder.position
    return state


def tensors_of(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise SimcropError("bad-model", f"{path} is damaged or no safetensors file") from error


def refuse_other_encoder(here: Recipe, there: Recipe, path: str) -> None:
    """Weights fit the encoder that they were learned for; which settings make it that one is said in one line. Sines
    may become a start of learned positions, and nothing else may change.
    """
    if type(here.vision) is not type(there.vision):
        raise SimcropError(
            "weights-mismatch",
            f"init.model = {path}: its encoder is another kind of network ({there.method}, here {here.method})",
        )
    ours, theirs = ({**flat(r.vision, VISION), "input.patch": r.input.patch} for r in (here, there))
    if ours.get("vision.pos_embed") == "learned":
        ours["vision.pos_embed"] = theirs["vision.pos_embed"]
    if wrong := [name for name in ours if ours[name] != theirs[name]]:
        differing = ", ".join(f"{name} = {plain(ours[name])}, there {plain(theirs[name])}" for name in wrong)
        mend = " ".join(f"--set {name}={plain(theirs[name])}" for name in wrong)
        raise SimcropError(
            "weights-mismatch", f"init.model = {path} holds another encoder: {differing} (as there: {mend})"
        )


def changed_input(here: Recipe, there: Recipe, learned: bool) -> list[str]:
    """In what the encoder now sees something else than it learned from."""
    ours, theirs = (flat(recipe.input, "input.") for recipe in (here, there))
    notes = [
        f"{name} = {plain(ours[name])}, there {plain(theirs[name])}"
        for name in ours
        if ours[name] != theirs[name]
    ]
    if here.input.grid.shape != there.input.grid.shape and "pos_embed" in flat(here.vision):
        notes.append("positions are " + ("interpolated" if learned else "computed for the new grid"))
    return notes


def unused(init: InitSettings) -> list[str]:
    """Settings about a random start, which this is not."""
    usual = InitSettings()
    names = [n for n in type(init).model_fields if n != "model" and getattr(init, n) != getattr(usual, n)]
    return [
        f"init.{name} = {plain(getattr(init, name))} is about a random start and not used" for name in names
    ]


def untouched(objective: Objective, loaded: Iterable[str]) -> list[str]:
    """First names of what will be trained and was not loaded, of the encoder the whole names."""
    left = {n for n, p in objective.named_parameters() if p.requires_grad} - set(loaded)
    return sorted({name if name.startswith(VISION) else name.split(".")[0] for name in left})


def plain(value: Any) -> str:
    """As it is written after `--set`."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
