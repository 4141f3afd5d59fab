"""`simcrop push`: an exported model, or a run that is exported on the way, becomes a model of the hub.

No axes or units. What has no card with a licence stays here.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simcrop.errors import SimcropError
from simcrop.files.whole import writing
from simcrop.files.yaml_text import NO_YAML, parse_yaml
from simcrop.hub.address import HubId, is_hub_id, parse_hub_id
from simcrop.hub.client import client
from simcrop.hub.harmless import refuse_configs_that_name_code
from simcrop.hub.send import send
from simcrop.model.folder import CONFIG, WEIGHTS, model_folder, read_config
from simcrop.model.manifest import MANIFEST
from simcrop.model.onnx_encoder import DESCRIBED, ONNX
from simcrop.model.onnx_encoder import WEIGHTS as ONNX_WEIGHTS
from simcrop.model.portable import without_places
from simcrop.tasks.folder import METRICS, RUN
from simcrop.tasks.sharing.card import CARD, CardOptions
from simcrop.tasks.sharing.export import export

# What a model consists of; whatever else lies in its folder is somebody's, and may say whose.
SENT = (
    *(CARD, CONFIG, WEIGHTS, MANIFEST, ONNX, ONNX_WEIGHTS, DESCRIBED),
    *(f"tokenizer/{name}" for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json")),
    *(f"text/{name}" for name in (CONFIG, WEIGHTS, "NOTICE.md")),
)
OURS = (RUN, METRICS, ".simcrop-")  # of the command that made the folder


@dataclass(frozen=True)
class Pushed:
    """`left`: what lies in the folder, is no part of the model and was not sent."""

    to: HubId
    commit: str
    left: tuple[str, ...] = ()


def push(
    source: str, to: str, private: bool = False, options: CardOptions | None = None, onnx: bool = False
) -> Pushed:
    """Send it. A folder that has a card goes as it is; of a run one is written, for which `options` must be given."""
    options = options or CardOptions()
    where = target(to)
    client()  # refused now where it is not installed
    if is_hub_id(source):
        raise SimcropError(
            "bad-setting", f"{source} is on the hub already; push sends a folder of this machine"
        )
    folder = model_folder(Path(source))
    if (folder / CARD).is_file():
        refuse_options_beside_a_card(folder, options, onnx)
        return Pushed(where, sent(folder, where, private), left_in(folder))
    if options.licence is None:
        raise SimcropError(
            "no-card",
            f"{source} has no model card, and none is written without a licence: push a folder that `simcrop export` "
            "made, or say --licence and --data-licence here",
        )
    with writing(Path(source)), TemporaryDirectory(prefix="simcrop-push-") as home:
        made = export(source, Path(home) / "model", options, onnx).folder
        return Pushed(where, sent(made, where, private))


def target(to: str) -> HubId:
    """Where it goes. Raises SimcropError of what is no hub id."""
    where = parse_hub_id(to)
    if where.revision is not None:
        raise SimcropError(
            "bad-hub-id", f"{to}: push makes a new commit on the main branch; leave @{where.revision} out"
        )
    return where


def refuse_options_beside_a_card(folder: Path, options: CardOptions, onnx: bool) -> None:
    if options != CardOptions() or onnx:
        raise SimcropError(
            "bad-setting",
            f"{folder} has a card already, which goes as it is: leave --licence, --data-licence, --results and --onnx "
            "out, or export again",
        )


def sent(folder: Path, where: HubId, private: bool) -> str:
    refuse_without_licence(folder / CARD)
    refuse_places(folder)
    refuse_configs_that_name_code(folder, folder)
    return send(folder, where, private, SENT)


def left_in(folder: Path) -> tuple[str, ...]:
    """By name, of a folder of which nothing is sent the folder alone."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    left = [name for name in names if name not in SENT and not name.startswith(OURS)]
    parts = {name.split("/")[0] for name in SENT}
    return tuple(dict.fromkeys(name if (top := name.split("/")[0]) in parts else top for name in left))


def refuse_without_licence(card: Path) -> None:
    """The head of the card says by which licence others may use the model."""
    head = front_matter_of(card.read_text(encoding="utf-8", errors="replace"))
    if not (head.get("license") and (head["license"] != "other" or head.get("license_name"))):
        raise SimcropError(
            "no-licence",
            f"{card} states no licence: write `license: apache-2.0`, for example, between its first two lines of "
            "three dashes, or export again with --licence",
        )


def refuse_places(folder: Path) -> None:
    """A card that was written by hand beside a model of this machine does not make it one for others."""
    config = read_config(folder)
    portable = without_places(config)
    if any(portable[part] != (config.get(part) or {}) for part in ("architecture", "provenance")):
        raise SimcropError(
            "not-exported",
            f"{folder}/config.json names files or folders of this machine: `simcrop export` makes a folder without",
        )


def front_matter_of(text: str) -> dict[str, Any]:
    """The YAML above the words; nothing where there is none."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
        return {}
    end = next(i for i, line in enumerate(lines[1:], start=1) if line.strip() == "---")
    try:
        head = parse_yaml("\n".join(lines[1:end]))
    except NO_YAML:
        return {}
    return head if isinstance(head, dict) else {}
