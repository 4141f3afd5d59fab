"""What a recipe claims to follow, such as a paper, and in what a run differs from it.

No axes or units. A recipe that claims nothing differs from nothing.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import TypedDict  # pydantic's own needs it before Python 3.12

from simcrop.errors import SimcropError
from simcrop.settings import Settings


class StandIn(TypedDict):
    """Of a setting that names a file: the `value` that it has as long as nobody gives one, what is `wanted` of it, and
    the commands that mend it.
    """

    value: Any
    wanted: str
    mend: str


class ClaimSettings(Settings):
    """What the recipe is taken from. `values`: settings as `source` has them; `stand_ins`: settings that cannot be as
    there unless somebody gives a file; `needs`: settings that the recipe cannot name and cannot do without, and what
    gives them. All by their whole names. A claim changes nothing in a run.
    """

    free: ClassVar = frozenset({"source", "values", "stand_ins", "needs"})

    source: str = ""
    values: dict[str, Any] = Field(default_factory=dict)
    stand_ins: dict[str, StandIn] = Field(default_factory=dict)
    needs: dict[str, str] = Field(default_factory=dict)


def differences(settings: Mapping[str, Any]) -> list[str]:
    """One line for each setting that is not as the source of these has it, and how to mend it; `settings` are flat.

    Raises SimcropError when the claim names a setting that there is not.
    """
    lines = []
    for name, wanted in settings.get("claim.values", {}).items():
        if plain(found := setting(settings, name)) != plain(wanted):
            there = json.dumps(wanted, separators=(",", ":"))
            lines.append(f"{name} = {json.dumps(found)}, there {there}: --set {name}={there}")
    for name, stand_in in settings.get("claim.stand_ins", {}).items():
        if plain(found := setting(settings, name)) == plain(stand_in["value"]):
            lines.append(f"{name} = {json.dumps(found)}, there {stand_in['wanted']}: {stand_in['mend']}")
    return lines


def refuse_missing(settings: Mapping[str, Any]) -> None:
    """Raises SimcropError for a setting that the claim needs and nobody has given; `settings` are flat."""
    for name, mend in settings.get("claim.needs", {}).items():
        if setting(settings, name) is None:
            raise SimcropError("bad-setting", f"this recipe cannot start without {name}: {mend}")


def setting(settings: Mapping[str, Any], name: str) -> Any:
    if name not in settings:
        raise SimcropError("bad-setting", f"claim: there is no setting {name}")
    return settings[name]


def plain(value: Any) -> Any:
    """As JSON reads it back: a tuple is a list."""
    return json.loads(json.dumps(value))
