"""What the header of one CT picture says of its place, its grid and its numbers; what is missing or unsound is named.

Axes: lengths in LPS mm. Values of a header are compared and counted, and never repeated in a message.
"""

import numpy as np
from pydicom.dataset import FileDataset

from simcrop.data.readers.padding import told_padding
from simcrop.data.readers.series import Slice
from simcrop.errors import SimcropError

PLACE = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2, "Rows": 1, "Columns": 1}
"""Keywords without which a slice has no place, and how many numbers each of them holds."""
NUMBERS = ("RescaleSlope", "RescaleIntercept", "BitsAllocated", "BitsStored", "PixelRepresentation")
"""Keywords that say what stored numbers mean: what one slice of a series states, all of them have to."""
LARGEST_PIXEL_MM = 100.0


def slice_of(header: FileDataset, index: int, name: str) -> Slice:
    """The few header values that matter, as plain numbers."""
    if int(header.get("NumberOfFrames", None) or 1) > 1:
        how = "as emf2sf of dcm4che writes them; or convert it by dcm2niix"
        raise SimcropError("multi-frame", f"{name} holds many frames, expected one file per slice, {how}")
    if (light := str(header.get("PhotometricInterpretation", "MONOCHROME2"))) != "MONOCHROME2":
        raise SimcropError("not-monochrome2", f"{name} stores {light}, expected MONOCHROME2")
    place = place_of(header, name)
    between_rows, between_columns = place["PixelSpacing"].tolist()
    return Slice(
        index=index,
        name=name,
        number=slice_number(header, index + 1),
        series=str(header.get("SeriesInstanceUID", "")),
        instance=str(header.get("SOPInstanceUID", "")),
        rows=int(place["Rows"][0]),
        columns=int(place["Columns"][0]),
        spacing_mm=(between_rows, between_columns),
        position=place["ImagePositionPatient"],
        orientation=place["ImageOrientationPatient"],
        slope=rescale_of(header, "RescaleSlope", 1.0, name),
        intercept=rescale_of(header, "RescaleIntercept", 0.0, name),
        unit=str(header.get("RescaleType", None) or "HU").strip().upper() or "HU",
        states=frozenset(keyword for keyword in NUMBERS if is_stated(header, keyword)),
        bits=str(header.get("BitsStored", None)),
        padding=told_padding(header),
    )


def place_of(header: FileDataset, name: str) -> dict[str, np.ndarray]:
    """Every value of `PLACE`; all that are missing are named together."""
    missing = [keyword for keyword in PLACE if not is_stated(header, keyword)]
    if missing:
        raise SimcropError("missing-geometry", f"{name} states no {' and no '.join(missing)}")
    place = {keyword: numbers(header, keyword) for keyword in PLACE}
    for keyword, count in PLACE.items():
        if not is_sound(keyword, place[keyword]):
            plain = f"{count} plain numbers" if count > 1 else "a whole number above 0"
            raise SimcropError("missing-geometry", f"{name} has an unsound {keyword}, expected {plain}")
    return place


def is_sound(keyword: str, values: np.ndarray) -> bool:
    if len(values) != PLACE[keyword] or not np.isfinite(values).all():
        return False
    if keyword == "PixelSpacing":
        return bool(0 < values.min() <= values.max() < LARGEST_PIXEL_MM)
    return keyword not in ("Rows", "Columns") or bool(values[0] >= 1)


def is_stated(header: FileDataset, keyword: str) -> bool:
    """Whether a value is there and not empty, sound or not."""
    try:
        value = header.get(keyword, None)
    except (TypeError, ValueError):
        return True
    return value is not None and str(value).strip() not in ("", "[]")


def numbers(header: FileDataset, keyword: str) -> np.ndarray:
    """What a header value holds, one number or several; none where any of them is no number."""
    try:
        return np.atleast_1d(np.array(header[keyword].value, np.float64))
    except (TypeError, ValueError):
        return np.zeros(0)


def rescale_of(header: FileDataset, keyword: str, otherwise: float, name: str) -> float:
    """A number that may be absent or empty."""
    if not is_stated(header, keyword):
        return otherwise
    values = numbers(header, keyword)
    if len(values) != 1 or not np.isfinite(values).all():
        raise SimcropError("bad-rescale", f"{name} has an unsound {keyword}, expected one plain number")
    return float(values[0])


def slice_number(header: FileDataset, otherwise: int) -> int:
    """What viewers show; it orders nothing, so that one which is no number harms nothing."""
    try:
        return int(header["InstanceNumber"].value)
    except (KeyError, TypeError, ValueError):
        return otherwise
