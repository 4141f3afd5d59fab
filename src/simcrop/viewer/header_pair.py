"""A header that was sent together with the file of its voxels, as MetaImage and NRRD may have them.

No axes or units.
"""

import re
from pathlib import Path

from simcrop.data.readers import metaimage, nrrd
from simcrop.data.readers.voxels import HEADER_LIMIT
from simcrop.errors import SimcropError

HEADERS = (".mhd", ".nhdr")
IN_ITSELF = ("local", "")  # what such a header says of voxels that follow it
NAMED = re.compile(rb"^([ \t]*(?:ElementDataFile[ \t]*=|data ?file[ \t]*:)[ \t]*)[^\r\n]*", re.MULTILINE)


def is_header(path: Path) -> bool:
    return path.name.endswith(HEADERS)


def join(header: Path, voxels: Path, called: str) -> None:
    """Lets `header` name `voxels`, in the same folder, which had the name `called` where it came from.

    Raises SimcropError where it names another file, so that no scan is read with the voxels of its neighbour.
    """
    named = named_in(header)
    if named.lower() in IN_ITSELF or last(named) != last(called):
        raise SimcropError(
            "missing-file", "the header names another file of voxels than the one sent with it"
        )
    if header.stat().st_size > HEADER_LIMIT:
        raise SimcropError("unreadable", "more follows the text header than any header has")
    header.write_bytes(NAMED.sub(lambda line: line[1] + voxels.name.encode(), header.read_bytes()))
    if named_in(header) != voxels.name:
        raise SimcropError("unreadable", "the header does not say plainly which file holds its voxels")


def named_in(header: Path) -> str:
    """As it stands there."""
    if header.name.endswith(HEADERS[0]):
        return metaimage.read_fields(header)[0]["ElementDataFile"]
    return nrrd.read_fields(header)[0].get("data file", "")


def last(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]
