"""Names of folders that every library can open. No axes or units."""

from pathlib import Path

from simcrop.errors import SimcropError


def refuse_other_than_utf8(path: Path) -> None:
    """The libraries that read volumes, tables and weights take no other name, and a whole file is damaged to them."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise SimcropError(
            "name-not-utf8",
            f"{path}: a name in it is not UTF-8, and what is in there cannot be read: rename that folder, or start in "
            "it and name what follows",
        ) from None
