"""What is to be noted of one scan that a network of chests is asked about. No axes or units."""

from simcrop.data.centre import lung_centre
from simcrop.data.guess import shown
from simcrop.data.preprocess import resample
from simcrop.data.volume import Volume

COARSE_MM = (8.0, 8.0, 8.0)
NO_LUNGS = (
    "no whole lungs were found in this scan; of anything but a chest, what a network that learned from chests says "
    "means nothing"
)


def notes_of(volume: Volume) -> list[str]:
    """What its reader guessed, and that it does not look like a chest."""
    lungs = lung_centre(resample(volume, COARSE_MM).hu, COARSE_MM)
    return [*map(shown, volume.notes), *([NO_LUNGS] if lungs is None else [])]
