"""Feature vectors and patch tokens of scans, written as others store them: a file per scan, whose name is its id.

Axes: s scan, n token, d features. What is written here, `embeddings` reads. `.h5`: `y_hat` (d), or of tokens `features`
(n, d), `coords` (n, 3) and `inside` (n); `.npz`: `embedding` (d), or of tokens the same three; `.npy`: (d). All of it
float32 but `inside`, which is true or false.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from simcrop.errors import SimcropError
from simcrop.files.embeddings import KEY, TOKENS, VECTOR
from simcrop.files.whole import write_whole

COORDS, INSIDE = "coords", "inside"
Arrays = Mapping[str, np.ndarray]


def check_format(form: str, tokens: bool) -> None:
    """Refused before any work: a format that there is not, that has no place for tokens, or lacks its package."""
    if form not in FORMATS:
        raise SimcropError("bad-setting", f"--format wants {', '.join(FORMATS)}, got {form!r}")
    if tokens and form not in OF_TOKENS:
        raise SimcropError(
            "bad-setting",
            f"--tokens wants --format {' or '.join(OF_TOKENS)}: {form} has no place for the centres of patches",
        )
    if form == "h5":
        try:
            import h5py  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError as error:
            raise SimcropError(
                "missing-package", '--format h5 needs h5py: pip install "simcrop[h5]"'
            ) from error


def file_of(folder: Path, name: str, form: str) -> Path:
    return folder / f"{name}.{form}"


def write_vector(path: Path, vector: np.ndarray) -> None:
    """One scan's, by the ending of the path, whole or not at all."""
    form = path.suffix[1:]
    write_whole(path, WRITERS[form]({VECTOR if form == "h5" else KEY: vector}))


def write_tokens(path: Path, tokens: np.ndarray, centres_mm: np.ndarray, inside: np.ndarray) -> None:
    """One scan's patch features `(n, d)`, their centres in RAS+ mm `(n, 3)`, and which hold some of the scan `(n,)`."""
    arrays = {TOKENS: tokens, COORDS: centres_mm, INSIDE: inside}
    write_whole(path, WRITERS[path.suffix[1:]](arrays))


def h5_bytes(arrays: Arrays) -> bytes:
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return content.getvalue()


def npz_bytes(arrays: Arrays) -> bytes:
    content = io.BytesIO()
    np.savez(content, **dict(arrays))  # pyright: ignore[reportArgumentType]
    return content.getvalue()


def npy_bytes(arrays: Arrays) -> bytes:
    content = io.BytesIO()
    np.save(content, arrays[KEY], allow_pickle=False)
    return content.getvalue()


WRITERS: dict[str, Callable[[Arrays], bytes]] = {"h5": h5_bytes, "npz": npz_bytes, "npy": npy_bytes}
FORMATS, OF_TOKENS = ("parquet", *WRITERS), ("h5", "npz")
