"""A folder as a model of the hub: its harmless files, in one commit, in place of the model that was there before.

No axes or units. A repository that is public never takes what was meant to be private, and one that holds code or
pickles takes nothing.
"""

from collections.abc import Sequence
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.hub.address import HubId
from simcrop.hub.client import LOGIN, Api, client, one_line
from simcrop.hub.harmless import refuse_harmful

DOING = "sending it"


def send(folder: Path, to: HubId, private: bool, files: Sequence[str]) -> str:
    """Make the repository where there is none, and commit those of `files` that are there: the commit's id. Those that
    are not here go there as well: what an earlier model left would be taken for a part of this one.
    """
    refuse_harmful([p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()], folder)
    api = client()
    with one_line(to, DOING):
        refuse_without_token(to)
        if not is_ready(to, private, api):
            api.create_repo(to.name, private=private, exist_ok=False)
        done = api.upload_folder(
            repo_id=to.name,
            folder_path=folder,
            allow_patterns=list(files),
            delete_patterns=list(files),
            commit_message="A model, by simcrop",
        )
    return str(done.oid)


def refuse_without_token(to: HubId) -> None:
    """Whose value is never looked at here."""
    from huggingface_hub import get_token

    if not get_token():
        raise SimcropError("no-access", f"{to}: {DOING} needs a token: {LOGIN}")


def is_ready(to: HubId, private: bool, api: Api) -> bool:
    """Whether the repository is there. Raises SimcropError where it may not take this model."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(to.name)
    except RepositoryNotFoundError:
        return False
    if private and not info.private:
        raise SimcropError(
            "public-repository",
            f"{to} is there already and public, and --private was asked for: nothing was sent; make it private on its "
            "page, or choose another name",
        )
    refuse_harmful([sibling.rfilename for sibling in info.siblings or ()], to)
    return True
