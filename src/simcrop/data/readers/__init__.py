"""Files -> Volume: one reader per format, one decision about the numbers, one refusal in one line.

Axes: `(x, y, z)` in the file's own voxel order; affine in RAS+ mm. The codes of refusals are in `reasons`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simcrop.data.hounsfield import Hint, decide, to_hu
from simcrop.data.readers.find import find_scans, is_directory, is_scan
from simcrop.data.readers.foreign import kind_of
from simcrop.data.readers.stored import Stored
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

__all__ = ["find_scans", "is_nifti", "is_scan", "naming", "read_stored", "read_volume"]


def read_volume(path: str | Path, hint: Hint | None = None) -> Volume:
    """The scan at `path`, a file, a folder of DICOM slices or a zip of them, in HU and placed in the patient.

    `hint` is what a data set's table says of the scan; see `hounsfield.decide` for when it is believed.
    """
    from simcrop.data.readers.geometry import place

    path = Path(path)
    with naming(path):
        stored = read_stored(path)
        stored = place(stored, stored.values.shape, hint)
        decision = decide(stored.values, stored.slope, stored.intercept, hint, stored.source)
        return Volume(to_hu(stored.values, decision), stored.affine, decision, stored.notes)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Refusals that name the file."""
    try:
        yield
    except SimcropError as error:
        raise SimcropError(error.reason, f"{path}: {error.sentence}") from error
    except OSError as error:
        raise SimcropError("unreadable", f"{path}: cannot be read: {error.strerror or error}") from error


def read_stored(path: Path) -> Stored:
    """Numbers and affine by the reader for this kind of path, before anything is decided."""
    if not path.exists():
        from simcrop.data.readers.slices import read_zipped_slices, zip_above

        if zip_above(path) is not None:
            return read_zipped_slices(path)
        raise SimcropError("missing-file", "no such file or folder")
    if path.is_dir():
        return read_folder(path)
    if path.stat().st_size == 0:
        raise SimcropError("empty-file", "the file has no bytes")
    name = path.name.lower()
    if is_nifti(path):
        from simcrop.data.readers.nifti import read_nifti

        return read_nifti(path)
    if name.endswith((".mhd", ".mha")):
        from simcrop.data.readers.metaimage import read_metaimage

        return read_metaimage(path)
    if name.endswith((".nrrd", ".nhdr")):
        from simcrop.data.readers.nrrd import read_nrrd

        return read_nrrd(path)
    if name.endswith(".npz"):
        from simcrop.data.readers.npz import read_npz

        return read_npz(path)
    if name.endswith(".zip"):
        from simcrop.data.readers.archive import read_zip

        return read_zip(path)
    return single_slice(path)


def read_folder(path: Path) -> Stored:
    """Pictures, slices, or the root of a disc."""
    from simcrop.data.readers.dicom_folder import read_dicom_folder
    from simcrop.data.readers.disc import is_disc, nothing_directly, read_disc
    from simcrop.data.readers.slices import holds_slices, read_slice_folder

    if holds_slices(path):
        return read_slice_folder(path)
    if is_disc(path):
        return read_disc(path)
    try:
        return read_dicom_folder(path)
    except SimcropError as error:
        if error.reason != "no-scan":
            raise
        raise nothing_directly(path) from error


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def single_slice(path: Path) -> Stored:
    """One DICOM file goes through the same proof, which says why it is no volume."""
    from simcrop.data.readers.dicom import DicomFile, looks_like_dicom, read_series

    if is_directory(path):
        return read_folder(path.parent)
    if looks_like_dicom(path):
        return read_series([DicomFile(path.name, lambda: path.open("rb"))])
    kind = kind_of(path.name)
    raise SimcropError(
        "unknown-format",
        f"is not read, {kind.advice}"
        if kind
        else "no reader for this file, expected .nii, .nii.gz, .mhd, .mha, .nrrd, .npz, "
        "a folder of DICOM slices or a .zip of one",
    )
