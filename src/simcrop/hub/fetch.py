"""A model of the hub as a folder of this machine: fetched once, then taken from the hub client's own cache.

No axes or units. Which commit it is is settled when it is first asked for, and stays so as long as the process lives.
"""

import os
from functools import cache
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.hub.address import HubId, parse_hub_id
from simcrop.hub.client import Api, client, one_line
from simcrop.hub.harmless import READ, refuse_configs_that_name_code, refuse_harmful

NEEDED = ("config.json", "model.safetensors")


def fetched(words: str | Path) -> Path:
    """The folder of `hf://owner/name`. Raises SimcropError, in one line, of what cannot be had or is not to be read."""
    return fetched_from(parse_hub_id(words), os.environ.get("HF_ENDPOINT", ""))


@cache
def fetched_from(asked: HubId, endpoint: str) -> Path:
    del endpoint  # the client reads it itself; here so that another hub is another answer
    api = client()
    with one_line(asked, "fetching it"):
        try:
            commit = commit_of(asked, api)
        except SimcropError:
            raise
        except Exception as error:  # noqa: BLE001
            folder = fetched_before(asked, api, error)
        else:
            # Words first: what asks for code is refused before its weights are fetched.
            refuse_configs_that_name_code(snapshot(asked, api, only=("*.json",)), asked)
            folder = snapshot(asked, api)  # by its branch, which the cache then knows, too
            if folder.name != commit:
                raise SimcropError("hub-changed", f"{asked} was changed while it was fetched: run this again")
    refuse_configs_that_name_code(folder, asked)
    return folder


def commit_of(asked: HubId, api: Api) -> str:
    """Which commit it is, once the names of all its files have been looked at."""
    info = api.model_info(asked.name, revision=asked.revision)
    names = [sibling.rfilename for sibling in info.siblings or ()]
    refuse_harmful(names, asked)
    if missing := [name for name in NEEDED if name not in names]:
        raise SimcropError("bad-model", f"{asked} holds no simcrop model: it has no {missing[0]}")
    assert info.sha is not None
    return info.sha


def snapshot(asked: HubId, api: Api, here: bool = False, only: tuple[str, ...] = READ) -> Path:
    """What may be read of it, in the cache; `here`: only if it is there."""
    return Path(
        api.snapshot_download(
            asked.name, revision=asked.revision, allow_patterns=list(only), local_files_only=here
        )
    )


def fetched_before(asked: HubId, api: Api, error: Exception) -> Path:
    """Where the hub cannot be reached, what was fetched while it could; its own answers are never overruled."""
    if getattr(getattr(error, "response", None), "status_code", 500) < 500:
        raise error
    try:
        return snapshot(asked, api, here=True)
    except Exception:  # noqa: BLE001
        raise error from None
