"""What the viewer refuses, with the status that says so in HTTP; one line as everywhere.

No axes or units.
"""

from simcrop.errors import SimcropError

STATUS = {
    "bad-request": 400,
    "no-token": 401,
    "foreign": 403,
    "not-found": 404,
    "bad-method": 405,
    "too-slow": 408,
    "no-model": 409,
    "no-sentences": 409,
    "not-dicom": 409,
    "cancelled": 409,
    "too-large": 413,
    "bad-type": 415,
    "busy": 429,
}
UNUSABLE = 422  # whatever else a scan, a sentence or a setting is refused for


class Cancelled(Exception):  # noqa: N818
    """Somebody no longer wants the work; no error, and nothing is said of it."""


def status_of(error: SimcropError) -> int:
    return STATUS.get(error.reason, UNUSABLE)


def not_found(what: str) -> SimcropError:
    return SimcropError("not-found", f"there is no such {what} here")


def too_large(what: str) -> SimcropError:
    return SimcropError("too-large", what)
