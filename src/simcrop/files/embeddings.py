"""Feature vectors of scans that were made elsewhere, in the shapes in which others store them.

Axes: s scan, n token, d features. One Parquet table of `id` and a list; or a folder with a file per scan whose name
is the id: `.h5` with `y_hat` (d), or `features` (n, d), as slides and tiles have it; `.npz` with `embedding` or
`features`; `.npy`. Vectors of several tokens are pooled. A folder per scan with `image_projection.npy` in it takes its
id from the folder. Nothing is unpickled.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
import polars as pl

from simcrop.errors import SimcropError

KEY, VECTOR, TOKENS = "embedding", "y_hat", "features"
NPZ_KEYS, H5_KEYS = (KEY, TOKENS), (VECTOR, TOKENS)
IN_FOLDER, TEXT_IN_FOLDER = "image_projection.npy", "text_projection.npy"
TABLE = "embeddings.parquet"  # of `simcrop embed`; its folder may be given in the table's place
# Endings of scans, which names of features may have kept.
SCANS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")
SHOWN = 3


@dataclass(frozen=True, eq=False)
class Embeddings:
    """`values` float32 `(s, d)` by `ids`, every one of them once, every number finite."""

    ids: tuple[str, ...]
    values: np.ndarray

    def of(self, wanted: Sequence[str], where: str) -> np.ndarray:
        """Rows `(s, d)` of these ids; refused where one has none."""
        place = {name: row for row, name in enumerate(self.ids)}
        missing = [name for name in wanted if name not in place]
        if missing:
            some = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
            raise SimcropError("other-ids", f"{where} lacks {len(missing)} of {len(wanted)} scans: {some}")
        return self.values[[place[name] for name in wanted]]


def holds_embeddings(path: Path) -> bool:
    """Whether these are features, and no model: a Parquet table, or a folder with none of a model's files."""
    if path.is_file():
        return path.suffix == ".parquet"
    if not path.is_dir() or (path / "config.json").exists():
        return False
    return (path / TABLE).is_file() or next(files_of(path), None) is not None


def read_embeddings(path: Path, pool: str = "mean", in_folder: str = IN_FOLDER) -> Embeddings:
    """Of a table or folder; refused where a width differs, a number is none, or an id comes twice.

    `in_folder`: which file counts where each scan has a folder of its own.
    """
    path = path / TABLE if (path / TABLE).is_file() else path
    rows = read_table(path) if path.is_file() else read_folder(path, POOLS[pool], in_folder)
    if not rows:
        raise SimcropError("no-features", f"{path} holds no features")
    widths = sorted({len(vector) for _, vector in rows})
    if len(widths) > 1:
        raise SimcropError(
            "bad-features", f"{path} has vectors of several widths: {', '.join(map(str, widths[:5]))}"
        )
    ids = tuple(bare(name) for name, _ in rows)
    if len(set(ids)) < len(ids):
        raise SimcropError(
            "bad-features", f"{path} has several vectors for {len(ids) - len(set(ids))} of its ids"
        )
    values = np.stack([vector for _, vector in rows]).astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(1).sum())
        raise SimcropError(
            "not-finite", f"{path} has numbers that are none (NaN or infinite) in {bad} of its vectors"
        )
    return Embeddings(ids, values)


def holds_texts(path: Path) -> bool:
    """Whether texts were encoded beside the scans, in folders of their own."""
    return path.is_dir() and any((entry / TEXT_IN_FOLDER).is_file() for entry in path.iterdir())


def read_texts(path: Path) -> Embeddings:
    """Vectors of reports by the ids of their scans, in any of these shapes."""
    if not path.exists():
        raise SimcropError("bad-features", f"{path}: no such file or folder of text vectors")
    return read_embeddings(path, in_folder=TEXT_IN_FOLDER if holds_texts(path) else IN_FOLDER)


POOLS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda tokens: tokens.mean(0, dtype=np.float64),
    "max": lambda tokens: tokens.max(0),
}


def read_table(path: Path) -> list[tuple[str, np.ndarray]]:
    """Of `id` and the first column of lists."""
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SimcropError("bad-features", f"{path} is damaged or no Parquet table") from error
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List | pl.Array)]
    if "id" not in table.columns or not lists:
        raise SimcropError("bad-features", f"{path} wants a column `id` and a column of lists of numbers")
    if nameless := table["id"].null_count():
        raise SimcropError("bad-features", f"{path} has no id in {nameless} of its rows")
    try:
        column = table[lists[0]].cast(pl.List(pl.Float32))
    except pl.exceptions.PolarsError as error:
        raise SimcropError(
            "bad-features", f"{path}: column {lists[0]!r} holds lists of something else than numbers"
        ) from error
    if empty := int((column.list.len().fill_null(0) == 0).sum()):
        raise SimcropError("bad-features", f"{path} has no numbers for {empty} of its ids")
    return [(str(name), np.asarray(vector)) for name, vector in zip(table["id"], column, strict=True)]


def read_folder(
    path: Path, pool: Callable[[np.ndarray], np.ndarray], in_folder: str
) -> list[tuple[str, np.ndarray]]:
    """A vector from each file."""
    return [(name, pooled(read_file(file), pool, file)) for name, file in files_of(path, in_folder)]


def files_of(path: Path, in_folder: str = IN_FOLDER) -> Iterator[tuple[str, Path]]:
    """Id and file of every scan, in the order of their names."""
    for entry in sorted(path.iterdir()):
        if entry.suffix in READERS and entry.is_file():
            yield entry.stem, entry
        elif (entry / in_folder).is_file():
            yield entry.name, entry / in_folder


def pooled(found: np.ndarray, pool: Callable[[np.ndarray], np.ndarray], file: Path) -> np.ndarray:
    """A vector as it is, also in a row of its own; of several tokens one vector."""
    real = np.issubdtype(found.dtype, np.number) and not np.issubdtype(found.dtype, np.complexfloating)
    if not real or found.size == 0 or found.ndim not in {1, 2, 3}:
        raise SimcropError(
            "bad-features", f"{file} holds no vector of numbers, but {found.dtype} {found.shape}"
        )
    tokens = found.reshape(-1, found.shape[-1])
    return tokens[0] if len(tokens) == 1 else pool(tokens)


def read_npy(file: Path) -> np.ndarray:
    return np.load(file, allow_pickle=False)


def read_npz(file: Path) -> np.ndarray:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return arrays[first_of(NPZ_KEYS, arrays)]


def read_h5(file: Path) -> np.ndarray:
    try:
        import h5py
    except ImportError as error:
        raise SimcropError("missing-package", f'{file} needs h5py: pip install "simcrop[h5]"') from error
    with h5py.File(file, "r") as arrays:
        return np.asarray(arrays[first_of(H5_KEYS, arrays)])


def first_of(keys: Sequence[str], there: Container[str]) -> str:
    """The first of these that is there, or the first."""
    return next((name for name in keys if name in there), keys[0])


READERS: dict[str, Callable[[Path], Any]] = {".npy": read_npy, ".npz": read_npz, ".h5": read_h5}


def read_file(file: Path) -> np.ndarray:
    """One file, or a refusal that says what it should hold."""
    try:
        return READERS[file.suffix](file)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, ZlibError) as error:
        keys = {".npz": f" with the key {KEY!r}", ".h5": f" with a dataset {' or '.join(map(repr, H5_KEYS))}"}
        raise SimcropError(
            "bad-features", f"{file} is no sound {file.suffix}{keys.get(file.suffix, '')} of plain numbers"
        ) from error


def bare(name: str) -> str:
    """An id as cohorts have it: without the ending of the scan that it was made of."""
    return next((name[: -len(end)] for end in SCANS if name.endswith(end)), name)
