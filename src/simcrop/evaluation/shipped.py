"""Settings as data files, the shipped ones by name and one's own by path: protocols, label maps, heads."""

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from simcrop.config import complaint, setting_names
from simcrop.errors import SimcropError
from simcrop.files.yaml_text import NO_YAML, parse_yaml
from simcrop.settings import Settings

Kind = TypeVar("Kind", bound=Settings)


def shipped_names(package: str) -> list[str]:
    """Those in a package of YAML files."""
    names = (entry.name for entry in files(package).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def read_settings(kind: type[Kind], what: str, package: str, name: str) -> Kind:
    """`what` is said of it in errors: of an unknown name the nearest is proposed, of an unknown setting, too."""
    return settings_of(kind, what, name, read_tree(what, package, name))


def read_tree(what: str, package: str, name: str) -> dict[str, Any]:
    """As it stands in the file."""
    text = text_of(what, package, name)
    try:
        tree = parse_yaml(text)
    except NO_YAML as error:
        raise SimcropError("bad-setting", f"{name} is no {what}: it is not YAML") from error
    if not isinstance(tree, dict):
        raise SimcropError("bad-setting", f"{name} is no {what}: it must hold `name: value` lines")
    return tree


def settings_of(
    kind: type[Kind], what: str, name: str, tree: dict[str, Any], also: type[Settings] | None = None
) -> Kind:
    """What a tree says; `also`: of settings within lists, whose names may be meant."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        known = [*setting_names(kind), *(setting_names(also) if also else ())]
        first = sorted(error.errors(), key=lambda of: of["type"] != "extra_forbidden")[:4]  # what is unknown
        why = "; ".join(said(of, known) for of in first)
        raise SimcropError("bad-setting", f"{name} is no {what} ({why})") from error


def text_of(what: str, package: str, name: str) -> str:
    """Of a shipped file, or of a path."""
    known = shipped_names(package)
    if name in known:
        return files(package).joinpath(f"{name}.yaml").read_text("utf-8")
    try:
        return Path(name).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise SimcropError("bad-setting", f"{name} is no {what}: it is no text") from error
    except OSError as error:
        near = get_close_matches(name.lower(), known, 1, 0)[0]
        raise SimcropError(
            "bad-setting",
            f"no {what} {name!r}, did you mean {near}? Neither a file nor one of {', '.join(known)}",
        ) from error


def said(found: ErrorDetails, known: list[str]) -> str:
    """One complaint in our words; what concerns the whole file has no name before it."""
    if found["type"] == "missing":
        return f"{'.'.join(map(str, found['loc']))} is not there"
    if not found["loc"]:
        return found["msg"].removeprefix("Value error, ")
    return complaint(found["loc"], found["msg"], found["type"], found["input"], known)
