"""What a model is called on the hub: `hf://owner/name`, or `hf://owner/name@revision`. No axes or units."""

import re
from dataclasses import dataclass
from pathlib import Path

from simcrop.errors import SimcropError

SCHEME = "hf:"
PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
# A path has one slash where the id had two.
FORM = re.compile(rf"hf:/{{1,2}}(?P<name>{PART}/{PART})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")


@dataclass(frozen=True)
class HubId:
    """`name`: owner and name; `revision`: a branch, a tag or a commit, the main branch where it is not said."""

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.name}" + (f"@{self.revision}" if self.revision else "")


def is_hub_id(words: str | Path) -> bool:
    """Whether somebody means the hub; nothing else ever leads there."""
    return str(words).startswith(SCHEME)


def parse_hub_id(words: str | Path) -> HubId:
    """Raises SimcropError of what is no id, in one line."""
    found = FORM.fullmatch(str(words))
    if found is None or ".." in str(words) or "--" in found["name"]:
        said = re.sub(r"^hf:/*", "hf://", str(words))
        raise SimcropError(
            "bad-hub-id", f"{said!r} is no hub id: expected hf://owner/name or hf://owner/name@revision"
        )
    return HubId(found["name"], found["revision"])
