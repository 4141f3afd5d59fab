"""The cohort store, read: an index of studies, a ledger of inputs, and voxels from disk only when asked for.

Axes: x, y, z of the resampled grid (RAS+). Voxels are int16 HU; affines map voxel index -> RAS+ mm.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from simcrop.data.preprocess import InputSpec, Placement, Triple, centred_start, paper, triple
from simcrop.data.store.format import COHORT, FORMAT, JOURNAL, LEDGER, STUDIES, VOLUMES
from simcrop.data.store.mask_file import mask_path, read_mask, read_mask_crop, source_mask_path
from simcrop.data.store.schema import LABEL, LEDGER_COLUMNS, STUDY_SCHEMA
from simcrop.data.store.volume_file import ENDINGS, Codec, checksum, read_crop, read_whole, volume_path
from simcrop.data.volume import HuDecision, Volume
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.utf8 import refuse_other_than_utf8

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Study:
    """One stored volume with its report. `shape`, `affine`: resampled grid; `source_*`: the grid in the file."""

    id: str
    patient: str
    scan: str
    split: str
    findings: str = field(repr=False)  # a printed study must not carry a line of its report
    impression: str = field(repr=False)
    labels: dict[str, int | None]
    shape: Triple
    affine: np.ndarray
    source_path: Path
    source_shape: Triple
    source_affine: np.ndarray
    hu_decision: dict[str, Any] | None
    checksum: str
    path: Path
    antialias: bool = False
    mask_checksum: str | None = None  # None: it has no mask
    source_mask_checksum: str | None = None
    mask_values: tuple[int, ...] = ()  # the classes that its mask holds, in the file

    def read(self) -> np.ndarray:
        """The whole resampled scan, int16 HU `(x, y, z)`."""
        return read_whole(self.path)

    def crop(self, start: Triple, shape: Triple) -> np.ndarray:
        """int16 HU, `shape` voxels from `start` on, which may be negative: outside the scan is air."""
        return read_crop(self.path, start, shape)

    @property
    def has_mask(self) -> bool:
        """Whether the data set marks something in this scan; a scan without a mask is not one without organs."""
        return self.mask_checksum is not None

    def mask(self) -> np.ndarray:
        """Labels of the whole resampled scan, int16 `(x, y, z)`: each voxel has the one at its centre."""
        return read_mask(mask_path(self.home, self.with_mask))

    def mask_crop(self, start: Triple, shape: Triple) -> np.ndarray:
        """int16 labels cut as `crop` cuts the scan; 0 outside of it."""
        return read_mask_crop(mask_path(self.home, self.with_mask), start, shape)

    def source_mask(self) -> np.ndarray:
        """Labels on the grid of the scan's file, int16, in that file's order of axes: nothing interpolated."""
        return read_mask(source_mask_path(self.home, self.with_mask))

    @property
    def files(self) -> tuple[Path, ...]:
        """All that the cohort stores of it."""
        masks = (mask_path, source_mask_path) if self.has_mask else ()
        return self.path, *(path(self.home, self.id) for path in masks)

    @property
    def home(self) -> Path:
        """The cohort's folder."""
        return self.path.parent.parent

    @property
    def with_mask(self) -> str:
        """Its id, if it has a mask."""
        if not self.has_mask:
            raise SimcropError("no-mask", f"study {self.id}: has no mask")
        return self.id

    def volume(self) -> Volume:
        """The resampled scan as a `Volume`, float32 HU."""
        decision = HuDecision(**self.hu_decision) if self.hu_decision else None
        return Volume(self.read().astype(np.float32), self.affine, decision)

    def placement(self, spec: InputSpec = paper, start: Triple | None = None) -> Placement:
        """Where the input cut at `start` lies in the source scan, in the middle when not said."""
        start = centred_start(self.shape, spec.shape) if start is None else start
        return Placement(spec, self.source_shape, self.source_affine, self.shape, self.affine, start)


@dataclass(frozen=True, eq=False)
class Cohort:
    """Studies in the order of `index`, the table of taken ones; `ledger` has a row per input, refused ones too.
    `layout`: of the data set that it was ingested from. `classes`: what the numbers in its masks stand for, ascending
    and without the background, 0; none where nothing is marked.
    """

    path: Path
    spacing_mm: Spacing
    window_hu: tuple[float, float]
    index: pl.DataFrame
    ledger: pl.DataFrame
    antialias: bool = False
    codec: Codec = "lz4"
    layout: str = ""
    classes: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.index.height

    def __getitem__(self, i: int) -> Study:
        if not -len(self) <= i < len(self):
            raise IndexError(f"study {i} of a cohort of {len(self)}")
        return study_of(self.index.row(i, named=True), self.path / VOLUMES, self.antialias, self.codec)

    def __iter__(self) -> Iterator[Study]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole table of studies, whichever of them are selected: another one is another cohort."""
        return digest_of_files(self.path / STUDIES)

    @property
    def labels(self) -> list[str]:
        """Names of the labels, in the order of their columns."""
        return [name.removeprefix(LABEL) for name in self.index.columns if name.startswith(LABEL)]

    def select(self, split: str) -> "Cohort":
        """The studies of one split; the ledger stays whole."""
        index = self.index.filter(pl.col("split") == split)
        return replace(self, index=index)

    def keep(self, rows: Sequence[int]) -> "Cohort":
        """The studies in these rows of the index; the ledger stays whole."""
        return replace(self, index=self.index[list(rows)])

    def verify(self) -> Iterator[str]:
        """Ids whose stored voxels or labels are gone, damaged, or not those that were ingested."""
        for study in self:
            try:
                sound = is_sound(study, study.read())
            except SimcropError:
                sound = False
            if not sound:
                yield study.id


def is_sound(study: Study, voxels: np.ndarray) -> bool:
    """Whether its stored `voxels`, and its labels if it has some, are those that were ingested."""
    if checksum(voxels) != study.checksum:
        return False
    if not study.has_mask:
        return True
    found = checksum(study.mask()), checksum(study.source_mask())
    return found == (study.mask_checksum, study.source_mask_checksum)


def study_of(row: dict[str, Any], volumes: Path, antialias: bool, codec: Codec) -> Study:
    """One row of `studies.parquet`."""
    return Study(
        **{
            name: row[name]
            for name in ("id", "patient", "scan", "split", "findings", "impression", "checksum")
        },
        labels={k.removeprefix(LABEL): v for k, v in row.items() if k.startswith(LABEL)},
        shape=triple(row["shape"]),
        affine=np.array(row["affine"]).reshape(4, 4),
        source_path=Path(row["source_path"]),
        source_shape=triple(row["source_shape"]),
        source_affine=np.array(row["source_affine"]).reshape(4, 4),
        hu_decision=json.loads(row["hu_decision"]),
        path=volume_path(volumes, row["id"], codec),
        antialias=antialias,
        mask_checksum=row["mask_checksum"],
        source_mask_checksum=row["source_mask_checksum"],
        mask_values=tuple(row["mask_values"] or ()),
    )


def open_cohort(path: str | Path) -> Cohort:
    """The cohort in the folder `path`, if its ingest was finished."""
    path = Path(path)
    refuse_other_than_utf8(path)
    facts = read_facts(path)
    index = read_parquet(path / STUDIES, list(STUDY_SCHEMA))
    ledger = read_parquet(path / LEDGER, list(LEDGER_COLUMNS))
    try:
        x, y, z = (float(mm) for mm in facts["spacing_mm"])
        low, high = (float(hu) for hu in facts["window_hu"])
        classes = {int(number): str(name) for number, name in facts.get("classes", {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path / COHORT) from error
    codec = facts.get("codec")
    if codec not in ENDINGS:
        raise damaged(path / COHORT)
    return Cohort(
        path,
        (x, y, z),
        (low, high),
        index,
        ledger,
        bool(facts.get("antialias")),
        codec,
        str(facts.get("layout", "")),
        dict(sorted(classes.items())),
    )


def read_facts(path: Path) -> dict[str, Any]:
    """`cohort.json`, the last file that an ingest writes."""
    file = path / COHORT
    if not file.is_file():
        if (path / JOURNAL).is_file():
            raise SimcropError(
                "unfinished", f"{path}: its ingest was interrupted, run the same ingest again to finish"
            )
        raise SimcropError("not-a-cohort", f"{path}: no cohort, expected a folder written by simcrop ingest")
    try:
        facts = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise damaged(file) from error
    if not isinstance(facts, dict) or facts.get("kind") != "simcrop-cohort":
        raise SimcropError("not-a-cohort", f"{file}: not written by simcrop ingest")
    version = facts.get("format")
    if version != FORMAT:
        newer = isinstance(version, int) and version > FORMAT
        raise SimcropError(
            "newer-format" if newer else "older-format",
            f"{path}: cohort format {version}, this simcrop reads {FORMAT}: "
            + ("update simcrop" if newer else "ingest again into a new folder"),
        )
    return facts


def read_parquet(path: Path, columns: list[str]) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except (OSError, PolarsError) as error:
        raise damaged(path) from error
    if missing := [name for name in columns if name not in table.columns]:
        raise SimcropError("corrupt-cohort", f"{path}: the column {missing[0]} is missing, ingest again")
    return table


def damaged(path: Path) -> SimcropError:
    return SimcropError("corrupt-cohort", f"{path}: missing or damaged, ingest again")
