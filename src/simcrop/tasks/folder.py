"""The output folder of every verb: `run.json`, `metrics.json`, and the rules about what may be overwritten."""

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import simcrop
from simcrop.errors import SimcropError

PRIVATE = {"--sentence", "--report"}
PACKAGES = (
    "torch",
    "numpy",
    "transformers",
    "tokenizers",
    "nibabel",
    "pydicom",
    "SimpleITK",
    "blosc2",
    "polars",
)


def open_folder(
    path: Path, verb: str, settings: Mapping[str, Any], resume: bool = False, overwrite: bool = False
) -> bool:
    """Make `path` ready for `verb`; true when it holds an earlier run to be continued.

    A folder that is not empty is left alone unless the same verb started it and `resume` or `overwrite` is said.
    """
    earlier = read_run(path)
    if path.exists() and not path.is_dir():
        raise SimcropError("bad-out", f"{path} is a file; --out wants a folder")
    if path.is_dir() and any(path.iterdir()):
        if earlier is None or earlier.get("verb") != verb:
            whose = (
                "was not made by simcrop"
                if earlier is None
                else f"was made by `simcrop {earlier.get('verb')}`"
            )
            raise SimcropError("bad-out", f"{path} is not empty and {whose}; choose another --out")
        if overwrite:
            shutil.rmtree(path)
        elif not resume:
            raise SimcropError(
                "bad-out",
                f"{path} holds an earlier `simcrop {verb}`: --resume continues it, --overwrite replaces it",
            )
        elif earlier.get("settings") != plain(settings):
            changed = sorted(
                k
                for k in {**plain(settings), **earlier["settings"]}
                if plain(settings).get(k) != earlier["settings"].get(k)
            )
            raise SimcropError(
                "bad-out",
                f"{path} was started with other settings ({', '.join(changed[:5])}); --resume needs the same",
            )
        else:
            return True
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "run.json", describe_run(verb, settings))
    return False


def describe_run(verb: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was run, with what, on what. Sentences and report paths on the command line stay private."""
    return {
        "verb": verb,
        "command": redacted(sys.argv),
        "settings": plain(settings),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "simcrop": simcrop.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def redacted(argv: list[str]) -> list[str]:
    out: list[str] = []
    for i, word in enumerate(argv):
        name = word.split("=", 1)[0]
        if i and argv[i - 1] in PRIVATE:
            out.append("(not recorded)")
        else:
            out.append(f"{name}=(not recorded)" if name in PRIVATE and "=" in word else word)
    return out


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_run(path: Path) -> dict[str, Any] | None:
    """`run.json` of a folder, or None when there is none worth the name."""
    try:
        run = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return run if isinstance(run, dict) and "verb" in run and isinstance(run.get("settings"), dict) else None


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """The verb's result as plain numbers."""
    write_json(path / "metrics.json", plain(metrics))


def write_json(path: Path, content: Any) -> None:
    """Whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON reads it back, so that settings compare equal after a round trip."""
    return json.loads(json.dumps(dict(values), default=str))


def fingerprint(*files: Path) -> str:
    """SHA-256 over the contents of files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
