"""Which files may travel: weights as safetensors, settings and words as text; nothing that is code or could run as it.

No axes or units. A repository with a pickle or a Python file in it is refused whole, whoever would read it.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from simcrop.errors import SimcropError

READ = ("*.safetensors", "*.json", "*.yaml", "*.yml", "*.md", "vocab.txt", "*/vocab.txt")
# Beside what is read others may lie, such as pictures; of these none may.
PICKLES = (
    ".bin",
    ".ckpt",
    ".dill",
    ".joblib",
    ".mar",
    ".nemo",
    ".npy",
    ".npz",
    ".pickle",
    ".pkl",
    ".pt",
    ".pth",
    ".pt2",
)
CODE = (
    ".py",
    ".pyc",
    ".pyz",
    ".so",
    ".sh",
    ".ipynb",
    ".whl",
    ".tar",
    ".gz",
    ".zip",
    ".keras",
    ".h5",
    ".msgpack",
)
NAMING_CODE = ("auto_map", "custom_pipelines", "custom_objects", "trust_remote_code", "remote_code")


def refuse_harmful(names: Iterable[str], where: object) -> None:
    """By the names of all files of a repository, before any of them is read."""
    for name in names:
        place, ending = PurePosixPath(name), PurePosixPath(name).suffix.lower()
        if place.is_absolute() or ".." in place.parts or "\\" in name:
            raise SimcropError("unsafe-model", f"{where} holds a file with a name that leads out of it")
        if ending in PICKLES:
            raise SimcropError(
                "unsafe-model",
                f"{where} holds {name}, which may be a pickle and run code: only models in safetensors are read",
            )
        if ending in CODE:
            raise SimcropError(
                "unsafe-model", f"{where} holds {name}, which is or may hold code: a model needs none"
            )


def refuse_configs_that_name_code(folder: Path, where: object) -> None:
    """Of every JSON file: one that asks for Python of its own is not read further."""
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).as_posix()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = code_in(content)
        except (OSError, ValueError, RecursionError) as error:
            raise SimcropError("bad-model", f"{where}: {name} is no JSON that can be read") from error
        if found:
            raise SimcropError(
                "unsafe-model", f"{where}: {name} names code to be run ({found}); a model needs none"
            )


def code_in(content: Any) -> str | None:
    """The first setting that asks for code."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name in NAMING_CODE and value:
                return name
            if isinstance(value, str) and value.endswith(".py"):
                return name
            if found := code_in(value):
                return found
    elif isinstance(content, list):
        return next(filter(None, map(code_in, content)), None)
    return None
