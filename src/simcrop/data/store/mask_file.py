"""One stored label volume: small whole numbers on the grid of a scan, of which a crop reads only its part.

Axes: x, y, z of the resampled grid (RAS+), or of the grid in the scan's file. Values are classes; 0 is none of them,
and what lies outside.

Whatever the codec of the scans, masks are packed: a mask of 512 x 512 x 300 voxels, 157 MB raw, takes less than 1 MB.
"""

from pathlib import Path

import numpy as np

from simcrop.data.preprocess import Triple
from simcrop.data.store.format import MASKS, SOURCE_MASKS
from simcrop.data.store.volume_file import compressed, read_crop, read_whole
from simcrop.files.whole import write_whole

ENDING = ".b2nd"
CHUNK = 128  # planes (x, y): a chunk may have 2 GB at most, and a scan in its file has no limit


def mask_path(cohort: Path, id: str) -> Path:
    """The labels of one scan on the stored grid."""
    return cohort / MASKS / f"{id}{ENDING}"


def source_mask_path(cohort: Path, id: str) -> Path:
    """The same as they were, on the grid in the scan's file."""
    return cohort / SOURCE_MASKS / f"{id}{ENDING}"


def write_mask(path: Path, labels: np.ndarray) -> int:
    """Store int16 labels, whole or not at all; the number of bytes on disk."""
    content = compressed(labels, CHUNK)
    write_whole(path, content)
    return len(content)


def read_mask(path: Path) -> np.ndarray:
    """Every label, int16."""
    return read_whole(path)


def read_mask_crop(path: Path, start: Triple, shape: Triple) -> np.ndarray:
    """`shape` labels from `start` on, int16; `start` may be negative, and what lies outside is 0."""
    return read_crop(path, start, shape, outside=0)
