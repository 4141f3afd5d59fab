"""The file beside a header in which its voxels lie, for whoever asks whether a scan has changed.

No axes or units.
"""

from pathlib import Path

from simcrop.data.readers import metaimage, nrrd
from simcrop.errors import SimcropError

FORMATS = {".mhd": metaimage, ".mha": metaimage, ".nhdr": nrrd, ".nrrd": nrrd}


def data_file(header: Path) -> Path | None:
    """None where the voxels follow the header, and where none can be had, as the reader will say."""
    form = FORMATS.get(header.suffix.lower())
    if form is None:
        return None
    try:
        data, _ = form.place_of(header, *form.read_fields(header))
    except (SimcropError, OSError):
        return None
    return None if data == header else data
