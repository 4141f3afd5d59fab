"""The mask of one scan: read, checked against its scan, and stored on both of its grids.

Axes: x, y, z of the scan's file, or of the resampled grid (RAS+). Labels are int16, 0 is the background.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from simcrop.data.findings import Finding
from simcrop.data.hounsfield import Hint
from simcrop.data.ingest.journal import Record
from simcrop.data.ingest.streamed import Resampled
from simcrop.data.label_volume import (
    Channels,
    as_labels,
    check_sides,
    found_classes,
    in_order,
    on_scan,
    resampled_labels,
)
from simcrop.data.overlaid import Overlaid, Part, check_listed
from simcrop.data.preprocess import Triple, triple
from simcrop.data.readers import is_nifti, naming, read_stored
from simcrop.data.readers.geometry import place
from simcrop.data.readers.stored import Stored, Stream
from simcrop.data.store.mask_file import mask_path, source_mask_path, write_mask
from simcrop.data.store.volume_file import checksum
from simcrop.errors import SimcropError
from simcrop.files.whole import writing


@dataclass(frozen=True)
class Mask:
    """The file, and what its numbers stand for where that is said; or the findings that it has a mask each of."""

    path: Path
    classes: dict[int, str] | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class Labels:
    """The same labels on the grid in the scan's file and on the stored one; `values`: the classes among them. `parts`:
    of findings what each label stands for.
    """

    source: np.ndarray
    stored: np.ndarray
    values: tuple[int, ...]
    parts: tuple[Part, ...] = ()
    note: str = ""


def labels_of(mask: Mask, made: Resampled, hint: Hint | None) -> Labels:
    """The labels on both grids of the scan that was `made`, or a refusal that names the file."""
    with naming(mask.path):
        if mask.findings:
            return labels_of_findings(mask, made)
        source, values = labels_on(mask, made.source_shape, made.source_affine, hint)
        volume = made.volume
        resampled = resampled_labels(source, made.source_affine, triple(volume.shape), volume.affine)
        return Labels(source, resampled, values)


def labels_on(
    mask: Mask, shape: Triple, affine: np.ndarray, hint: Hint | None = None
) -> tuple[np.ndarray, tuple[int, ...]]:
    """The labels, int16, in the order and direction of the axes of their scan, and the classes among them."""
    stored = read_labels(mask, hint)
    values = found_classes(stored.values, mask.classes)
    labels = on_scan(stored.values, stored.affine, shape, affine)
    check_sides(labels, affine, mask.classes or {})
    return labels, values


def read_labels(mask: Mask, hint: Hint | None) -> Stored:
    """The file's labels, int16, and where they lie; of channels, one per class, one label volume is made."""
    if mask.path.is_file() and is_nifti(mask.path) and mask.path.stat().st_size:
        from simcrop.data.readers.nifti import open_nifti

        with open_nifti(mask.path, channels=True) as stream, damage_first(stream.planes):
            header = place(stream.header, stream.shape, hint)
            labels = joined(stream, mask.classes) if stream.channels > 1 else planes_of_labels(stream)
            return Stored(**vars(header), values=labels.transpose(2, 1, 0))
    stored = read_stored(mask.path)
    stored = place(stored, stored.values.shape, hint)
    return replace(stored, values=as_labels(stored.values, stored.slope, stored.intercept))


@contextmanager
def damage_first(planes: Iterator[np.ndarray]) -> Iterator[None]:
    """Damaged bytes give numbers that no mask holds before gzip's checksum is reached: these are read to the end before
    it is said of them what is wrong with their numbers.
    """
    try:
        yield
    except SimcropError:
        for _ in planes:
            pass
        raise


def joined(stream: Stream, classes: dict[int, str] | None) -> np.ndarray:
    """int16 `(z, y, x)` of channels."""
    channels = Channels(stream.shape, stream.channels, classes)
    for k, plane in enumerate(stream.planes):
        channels.take(k, plane)
    return channels.labels


def planes_of_labels(stream: Stream) -> np.ndarray:
    """int16 `(z, y, x)`, of whatever type the file's numbers are: of float64 the file is four times as large."""
    labels, header = np.empty(stream.shape[::-1], np.int16), stream.header
    for k, plane in enumerate(stream.planes):
        labels[k] = as_labels(plane, header.slope, header.intercept)
    return labels


def labels_of_findings(mask: Mask, made: Resampled) -> Labels:
    """Every finding's instances in one label volume, on the voxels of the scan as its file has them."""
    from simcrop.data.readers.nifti_findings import open_findings

    if not is_nifti(mask.path):
        raise SimcropError("unknown-format", "the masks of findings are NIfTI files")
    overlaid, volume = Overlaid(made.source_shape, len(mask.findings)), made.volume
    with open_findings(mask.path, len(mask.findings), made.source_shape) as planes, damage_first(planes):
        for z, plane in enumerate(planes):
            overlaid.take(z, plane)
    note = check_listed(mask.findings, overlaid.voxels)
    source = in_order(overlaid.labels.transpose(2, 1, 0))
    resampled = resampled_labels(source, made.source_affine, triple(volume.shape), volume.affine)
    return Labels(source, resampled, tuple(sorted(overlaid.number_of.values())), overlaid.parts, note)


def write_labels(cohort: Path, id: str, labels: Labels) -> Record:
    """Both volumes into the cohort; what the journal says of them."""
    paths = mask_path(cohort, id), source_mask_path(cohort, id)
    volumes = labels.stored, labels.source
    of_findings = {"parts": [list(astuple(part)) for part in labels.parts], "note": labels.note}
    return {
        "status": "taken",
        "checksum": checksum(labels.stored),
        "source_checksum": checksum(labels.source),
        "values": list(labels.values),
        "bytes": [write_mask(path, volume) for path, volume in zip(paths, volumes, strict=True)],
        **(of_findings if labels.parts else {}),
    }


def stored_labels(cohort: Path, id: str, record: Record | None) -> list[tuple[Path, int]]:
    """The files of a stored mask, and the bytes of each."""
    if record is None or record["status"] != "taken":
        return []
    return list(zip((mask_path(cohort, id), source_mask_path(cohort, id)), record["bytes"], strict=True))


def remove_labels(cohort: Path, id: str) -> None:
    """What an earlier call stored for a scan that has no mask any more."""
    for path in (mask_path(cohort, id), source_mask_path(cohort, id)):
        with writing(path):
            path.unlink(missing_ok=True)
