"""A model folder that may leave the machine: the same weights and words, and in its description no place of a file.

No axes or units. What a setting or an origin says of a folder is of use to nobody elsewhere, and may name a hospital.
"""

import json
import re
import shutil
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from simcrop.config import build_recipe
from simcrop.engine.checkpoint import STATE
from simcrop.files.digest import digest_of_files
from simcrop.files.tensors import save_tensors
from simcrop.files.whole import write_json
from simcrop.hub.address import is_hub_id
from simcrop.model.folder import CONFIG, WEIGHTS, load, read_config
from simcrop.model.model import Model
from simcrop.model.segmenter import Segmenter, load_segmenter

NOT_RECORDED = "(not recorded)"
# Settings that may name a file or a folder.
PLACES = (
    *("text.model", "init.mae", "init.model", "organs.descriptions", "organs.conclusions"),
    "align.prompts.protocol",
)
# Wherever else one may have been written: from the root, from home, from here, or as Windows has it.
PATH = re.compile(r"(?<![^\s='\"(,\[])(?:file:/|(?:~[\w.-]*|\.{1,2})?/|[A-Za-z]:\\)[^\s'\",)\]]+")

# Settings and facts whose values are names, which are part of the model, however they are written.
NAMES = {"labels", "classes", "split"}


def load_any(folder: Path) -> Model | Segmenter:
    """Whichever kind of model it is, on the processor."""
    config = read_config(folder)
    marks = build_recipe(config["architecture"], str(folder / CONFIG)).class_names
    return load_segmenter(folder, "cpu") if marks else load(folder, "cpu")


def write_portable(folder: Path, out: Path, carry_text: bool = False) -> Model | Segmenter:
    """Write the model of `folder` to `out`, read back from there. `carry_text`: the text encoder, too, where it is the
    embedded one, which a package carries otherwise.
    """
    network, config = load_any(folder), read_config(folder)
    if (folder / STATE).is_file():  # a checkpoint: beside what is for use it holds what only training needs
        tensors = {k: v for k, v in network.state_dict().items() if not k.startswith("text.")}
        save_tensors(tensors, out / WEIGHTS)
    else:
        shutil.copyfile(folder / WEIGHTS, out / WEIGHTS)
    described = without_places(config)
    if described != config:
        origin = config.get("provenance") or {}
        was = origin.get("exported_from") or digest_of_files(folder / WEIGHTS, folder / CONFIG)
        described["provenance"] = {**described["provenance"], "exported_from": was}
    write_json(out / CONFIG, described)
    if isinstance(network, Model) and network.text is not None and network.tokenizer is not None:
        network.tokenizer.save(out / "tokenizer")
        if carry_text or config["text_encoder"] != "minilm":
            network.text.config = scrubbed(network.text.config, ())
            network.text.save(out / "text")
    return load_any(out)


def without_places(config: dict[str, Any]) -> dict[str, Any]:
    """The description of a model without a place of a file or folder; ids of the hub are places that all know."""
    architecture = json.loads(json.dumps(config["architecture"]))
    found = []
    for *groups, name in (place.split(".") for place in PLACES):
        settings: dict[str, Any] = architecture
        for group in groups:
            inner = settings.get(group)
            settings = inner if isinstance(inner, dict) else {}
        value = settings.get(name)
        if value is not None and value not in shipped() and not is_hub_id(value):
            settings[name] = NOT_RECORDED
            found.append(str(value))
    places = tuple(sorted(filter(telling, found), key=len)[::-1])
    provenance = config.get("provenance")
    return {
        **config,
        "architecture": scrubbed(architecture, places),
        "provenance": scrubbed(without_sources(provenance if isinstance(provenance, dict) else {}), places),
    }


def telling(place: str) -> bool:
    """Whether it is this place wherever else it is written: a bare word or a dot may be said of something else."""
    return place != NOT_RECORDED and not place.isidentifier() and any(map(str.isalpha, place))


@cache
def shipped() -> set[str]:
    """Names that such a setting may have for what comes with the package: the text encoder, and protocols."""
    files = resources.files("simcrop.protocols").iterdir()
    return {"minilm", *(Path(file.name).stem for file in files if file.name.endswith(".yaml"))}


def without_sources(origin: Any) -> Any:
    """Where a start came from, `init.model = FOLDER`, without the folder; of its parents likewise."""
    if isinstance(origin, list):
        return [without_sources(one) for one in origin]
    if not isinstance(origin, dict):
        return origin
    kept = {name: without_sources(value) for name, value in origin.items()}
    if isinstance(source := kept.get("source"), str):
        setting, sign, place = source.partition(" = ")
        known = is_hub_id(place if sign else setting)
        kept["source"] = source if known else f"{setting} = {NOT_RECORDED}" if sign else NOT_RECORDED
    return kept


def scrubbed(value: Any, places: tuple[str, ...]) -> Any:
    """The same without these places, and without whatever else looks like one."""
    if isinstance(value, dict):
        return {name: inner if name in NAMES else scrubbed(inner, places) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(inner, places) for inner in value]
    if not isinstance(value, str):
        return value
    for place in places:
        value = re.sub(rf"(?<![\w.-]){re.escape(place)}(?![\w-]|\.\w)", NOT_RECORDED, value)
    return PATH.sub(NOT_RECORDED, value)
