"""The hub's own client, and whatever goes wrong with it as one line. No axes or units.

Its messages are never passed on: they run over several lines and may quote what was sent.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simcrop.errors import SimcropError
from simcrop.hub.address import HubId

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LOGIN = "log in with `hf auth login`, or give a token as HF_TOKEN"
EXTRA = "pip install simcrop[hub]"


def client() -> "HfApi":
    """Of the hub, or of the one that HF_ENDPOINT names."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars, logging
    except ImportError as error:
        raise SimcropError("missing-package", f"hf:// ids need huggingface_hub: {EXTRA}") from error
    if not sys.stderr.isatty():
        disable_progress_bars()
    logging.set_verbosity_error()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="simcrop")


@contextmanager
def one_line(of: HubId, doing: str) -> Iterator[None]:
    """Around all that is said to the hub; `doing`: what could not be done, in words."""
    from huggingface_hub import errors

    try:
        yield
    except SimcropError:
        raise
    except errors.RevisionNotFoundError as error:
        raise SimcropError("no-revision", f"{of}: there is no revision {of.revision!r}") from error
    except errors.GatedRepoError as error:
        raise SimcropError(
            "no-access", f"{of}: its owner grants access one by one: ask for it on its page, then {LOGIN}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise SimcropError(
            "no-access", f"{of}: there is no such model, or it is private; to see a private one, {LOGIN}"
        ) from error
    except errors.LocalTokenNotFoundError as error:
        raise SimcropError("no-access", f"{of}: {doing} needs a token: {LOGIN}") from error
    except errors.HfHubHTTPError as error:
        raise refused(of, doing, error.response.status_code) from error
    except errors.OfflineModeIsEnabled as error:
        raise SimcropError(
            "hub-unreachable", f"{of}: {doing} needs a network, and HF_HUB_OFFLINE forbids it"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        status = status_of(error)
        raise refused(of, doing, status) if status else unreachable(of, doing) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"httpx", "httpx2", "httpcore", "requests"}:
            raise
        raise unreachable(of, doing) from error


def refused(of: HubId, doing: str, status: int) -> SimcropError:
    """The hub's answer, by its number."""
    if status in {401, 403}:
        return SimcropError("no-access", f"{of}: {doing} is not allowed for you ({status}): {LOGIN}")
    return SimcropError("hub-refused", f"{of}: {doing} failed, the hub answered {status}; try again later")


def unreachable(of: HubId, doing: str) -> SimcropError:
    return SimcropError(
        "hub-unreachable",
        f"{of}: {doing} failed, the hub cannot be reached; without a network use a folder, which "
        "`simcrop bundle` makes",
    )


def status_of(error: BaseException) -> int | None:
    """The number of an answer that another error hides."""
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        cause = cause.__cause__ or cause.__context__
    return None
