"""What is written down of a run: verb, settings, command, versions. Sentences and reports stay private.

No axes or units. Everything is as JSON reads it back, so that settings compare equal after a round trip.
"""

import json
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import simcrop
from simcrop.claim import differences

PRIVATE = {"--sentence", "--report"}
NAMELESS = "--pseudonymise"
TRAVELLING = {"export", "bundle"}  # verbs whose folders are made for others
PACKAGES = (
    "torch",
    "numpy",
    "tokenizers",
    "nibabel",
    "pydicom",
    "blosc2",
    "polars",
)


def describe_run(verb: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was run, with what, on what, and in what it is not what its settings claim to follow."""
    return {
        "verb": verb,
        "command": redacted(sys.argv, verb),
        "settings": plain(settings),
        "differences": differences(settings),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "simcrop": simcrop.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def redacted(argv: list[str], made_by: str = "") -> list[str]:
    """The command line without the sentences asked for and the report's place; with pseudonyms, and of what is made for
    others, only the options. `made_by`: the verb, which the command line of a script of one's own does not say.
    """
    verb = next((word for word in argv[1:] if not word.startswith("-")), "")
    if NAMELESS in argv or {verb, made_by} & TRAVELLING:
        return [Path(argv[0]).name, *(word.split("=", 1)[0] for word in argv[1:] if word.startswith("--"))]
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


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON reads it back."""
    return json.loads(json.dumps(dict(values), default=str))
