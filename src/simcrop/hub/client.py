"""The hub's own client, and whatever goes wrong with it as one line. No axes or units.

Its messages are never passed on: they run over several lines and may quote what was sent.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simcrop.errors import SimcropError
from simcrop.hub.address import HubId

Api = Any  # the client's HfApi, which is not imported before somebody asks for the hub
LOGIN = "log in with `hf auth login`, or give a token as HF_TOKEN"
EXTRA = "pip install simcrop[hub]"


def client() -> Api:
    """Of the hub, or of the one that HF_ENDPOINT names."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars, logging
    except ImportError:
        raise SimcropError("missing-package", f"hf:// ids need huggingface_hub: {EXTRA}") from None
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
    except errors.RevisionNotFoundError:
        raise SimcropError("no-revision", f"{of}: there is no revision {of.revision!r}") from None
    except errors.GatedRepoError:
        raise SimcropError(
            "no-access", f"{of}: its owner grants access one by one: ask for it on its page, then {LOGIN}"
        ) from None
    except errors.RepositoryNotFoundError:
        raise SimcropError(
            "no-access", f"{of}: there is no such model, or it is private; to see a private one, {LOGIN}"
        ) from None
    except errors.LocalTokenNotFoundError:
        raise SimcropError("no-access", f"{of}: {doing} needs a token: {LOGIN}") from None
    except errors.HfHubHTTPError as error:
        raise refused(of, doing, error.response.status_code) from None
    except errors.OfflineModeIsEnabled:
        raise SimcropError(
            "hub-unreachable", f"{of}: {doing} needs a network, and HF_HUB_OFFLINE forbids it"
        ) from None
    except Exception as error:
        if status := status_of(error):
            raise refused(of, doing, status) from None
        if any(is_of_the_network(cause) for cause in causes(error)):
            raise unreachable(of, doing) from None
        if isinstance(error, ValueError | RuntimeError):
            raise SimcropError(
                "hub-refused", f"{of}: {doing} failed, the hub's answer was not understood"
            ) from None
        raise  # such as a disk that is full


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


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error itself, and those that led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def status_of(error: BaseException) -> int | None:
    """The number of an answer that another error hides."""
    answers = (getattr(getattr(cause, "response", None), "status_code", None) for cause in causes(error))
    return next((status for status in answers if isinstance(status, int)), None)


def is_of_the_network(error: BaseException) -> bool:
    """Whoever is asked, and however the client says it."""
    client_says = type(error).__module__.partition(".")[0] in {"httpx", "httpx2", "httpcore", "requests"}
    nothing_here = type(error).__name__ in {"LocalEntryNotFoundError", "IncompleteSnapshotError"}
    return client_says or nothing_here or isinstance(error, ConnectionError | TimeoutError)
